/** `lading import`: clients, roles and the FTP target from the `config.ini` of an older server. */
import type { Command } from 'commander';
import type { OfflineIdentity } from '../../compose/offline-identity.ts';

import type { Found, FoundClient, FoundFtp } from '../../import/config-ini.ts';
import type { AuditAction } from '../../protocol/schemas/audit.ts';
import { EXIT, exitCodeOf, UsageError } from '../shared/exit.ts';
import { Output } from '../shared/output.ts';
import { type GlobalOptions, readNamedFile } from '../shared/settings.ts';
import { table } from '../shared/values.ts';

interface Options {
  dataDir?: string;
  dryRun?: boolean;
}

interface Line {
  kind: 'client' | 'target';
  id: string;
  role: string;
  outcome: 'imported' | 'to be imported' | 'there already';
}

interface Imported {
  dry_run: boolean;
  entries: Line[];
  ignored_sections: string[];
}

const HELP = `
Works on the data directory itself, so stop the server first. It takes clients with their secrets and roles, and the section
[FTP] as a target that complete sound files are sent to. Hashes of secrets stay good and are replaced by stronger ones at the
first sign-in. What is there already is left as it is, so the command can be repeated. Unless everything can be
taken over, nothing is.

Examples:
  $ lading import config.ini --data-dir ./data --dry-run
  $ lading import config.ini --data-dir ./data`;

export function addImport(root: Command): void {
  root
    .command('import')
    .description('take over clients and the FTP target from the config.ini of an older server')
    .argument('<file>', 'the config.ini')
    .option('--data-dir <folder>', 'where the server keeps its data (default: as "lading serve")')
    .option('--dry-run', 'show what would be taken over, and change nothing')
    .addHelpText('after', HELP)
    .action(async (file: string, options: Options, command: Command) => {
      const out = new Output(command.optsWithGlobals<GlobalOptions>());
      try {
        show(out, await importFrom(file, options));
        process.exitCode = EXIT.ok;
      } catch (error) {
        out.error(error);
        process.exitCode = exitCodeOf(error);
      }
    });
}

function show(out: Output, done: Imported): void {
  const rows = done.entries.map(({ kind, id, role, outcome }) => [kind, id, role, outcome]);
  const ignored = done.ignored_sections.map((name) => `[${name}]`).join(' ');
  const text = rows.length > 0 ? table(rows) : 'There is nothing to import.';
  out.result(done, ignored === '' ? text : `${text}\nNot imported, for it means nothing here: ${ignored}`);
}

/** Loads the server's rooms only now: few commands need them. */
async function importFrom(file: string, { dataDir, dryRun = false }: Options): Promise<Imported> {
  const found = await read(file);
  const { loadConfig } = await import('../../settings/load-config.ts');
  const { ConfigError } = await import('../../settings/config-error.ts');
  const { parseFlags } = await import('../../settings/flags.ts');
  const { findEnvironment } = await import('../../settings/environment.ts');
  const { openIdentity } = await import('../../compose/offline-identity.ts');
  try {
    const flags = parseFlags(dataDir === undefined ? [] : ['--data-dir', dataDir]);
    const { config } = loadConfig(flags, findEnvironment().env);
    // A dry run makes no directory: in one that is not there everything is new.
    const opened = await openIdentity(config, { make: !dryRun });
    if (opened === null) return { dry_run: true, ...(await take(found, null, true)) };
    try {
      return { dry_run: dryRun, ...(await take(found, opened, dryRun)) };
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    if (!(error instanceof Error) || error.name !== 'DirectoryInUse') throw error;
    throw new Error(`The ${error.message}. Stop the server first.`);
  }
}

async function read(file: string): Promise<Found> {
  const { IniError, parseIni } = await import('../../import/ini.ts');
  const { findIn } = await import('../../import/config-ini.ts');
  const text = await readNamedFile('The configuration', file);
  try {
    const found = findIn(parseIni(text));
    if (found.problems.length === 0) return found;
    throw new UsageError(`Nothing was imported from ${file}: ${found.problems.join(' ')}`);
  } catch (error) {
    if (error instanceof IniError) throw new UsageError(`${file} is no INI file: ${error.message}.`);
    throw error;
  }
}

async function take(
  { clients, ftp, ignored }: Found,
  opened: OfflineIdentity | null,
  dryRun: boolean,
): Promise<Omit<Imported, 'dry_run'>> {
  const entries: Line[] = [];
  const done = dryRun ? 'to be imported' : 'imported';
  for (const client of clients) {
    const isThere = opened !== null && opened.identity.clients.find(client.id) !== null;
    if (opened && !isThere && !dryRun) await takeClient(opened, client);
    entries.push({ kind: 'client', id: client.id, role: client.role, outcome: isThere ? 'there already' : done });
  }
  if (ftp) {
    const isThere = opened !== null && (await takeTarget(opened, ftp, dryRun)) === 'there';
    entries.push({
      kind: 'target',
      id: `${ftp.host}:${ftp.port}`,
      role: 'ftp',
      outcome: isThere ? 'there already' : done,
    });
  }
  return { entries, ignored_sections: ignored };
}

async function takeClient(opened: OfflineIdentity, { id, role, hash, secret }: FoundClient): Promise<void> {
  const { clients } = opened.identity;
  if (hash !== null) await clients.adopt({ id, role, secretHash: hash });
  else if (secret !== null) await clients.create({ id, role, name: null, secret });
  const { changesOf, NOTHING } = await import('../../identity/audit-changes.ts');
  await record(opened, 'client_created', id, changesOf(NOTHING, { role }));
}

async function takeTarget(opened: OfflineIdentity, ftp: FoundFtp, dryRun: boolean): Promise<'there' | 'new'> {
  const { DEFAULT_TENANT } = await import('../../identity/rights/policy.ts');
  const targets = await opened.targets();
  const others = targets.list(DEFAULT_TENANT);
  const { host, port, username, directory, password } = ftp;
  const same = others.some(
    (one) =>
      one.kind !== 'webhook' &&
      one.host === host &&
      one.port === port &&
      one.username === username &&
      one.directory === directory,
  );
  if (same) return 'there';
  if (dryRun) return 'new';
  let name = 'FTP';
  for (let count = 2; others.some((one) => one.name === name); count += 1) name = `FTP (${count})`;
  const made = await targets.add({
    ...{ kind: 'ftp', tenant: DEFAULT_TENANT, name, host, port, username, directory, secret: password },
    ...{ pattern: '{name}', ca: null, rule: { owner: null, prefix: '', type: 'audio/' } },
  });
  const { changesOf, NOTHING, ofTarget } = await import('../../identity/audit-changes.ts');
  await record(opened, 'target_created', made.id, changesOf(NOTHING, ofTarget(made)));
  return 'new';
}

function record({ audit }: OfflineIdentity, action: AuditAction, target: string, detail: string | null): Promise<void> {
  return audit.record({
    ...{ action, outcome: 'ok', principal: null, tenant: 'default', address: null, target, requestId: null },
    detail: `lading import: ${detail ?? ''}`,
  });
}
