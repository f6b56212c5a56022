/** `lading grants create|list|revoke` */
import { type Command, Option } from 'commander';
import type { Grant } from '../../client/client.ts';
import { run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import type { Output } from '../shared/output.ts';
import { idOf, optionalIdOf } from '../shared/principals.ts';
import { parseDuration, table } from '../shared/values.ts';

const HELP = `
A grant lets another client or person of the tenant read a file, or all files whose names begin with a prefix. They list, ask
for and download with --owner and your id.

Examples:
  $ lading grants create 5d41402abc4b2a76b9719d91 --file monday.wav
  $ lading grants create ann@example.org --file monday.wav
  $ lading grants create camera-7 --prefix monday/ --expires-in 30d --owner camera-9
  $ lading grants list
  $ lading ls --owner 7d793037a0760186574b0282
  $ lading download monday.wav --owner 7d793037a0760186574b0282 -o monday.wav
  $ lading grants revoke 5d41402abc4b2a76`;

interface NewGrant {
  file?: string;
  prefix?: string;
  /** Milliseconds. */
  expiresIn?: number;
  owner?: string;
}

export function addGrants(root: Command): void {
  const grants = root
    .command('grants')
    .description('let other clients and people read your files, list and revoke that')
    .addHelpText('after', HELP);
  addCreate(grants);
  grants
    .command('list')
    .description('list what you granted, and what was granted to you')
    .option('--owner <who>', 'of somebody else, by id or name; for administrators')
    .action((options: { owner?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        const list = await client.grants.list({ owner, signal });
        out.result(list, listed([...list.given, ...list.received]));
        return undefined;
      }),
    );
  grants
    .command('revoke')
    .description('end a grant at once, one that you gave or were given; downloads by it are cut')
    .argument('<grant-id>', 'id of the grant')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.grants.revoke(id, { signal });
        out.result({ revoked: id }, '');
        return undefined;
      }),
    );
}

function addCreate(grants: Command): void {
  grants
    .command('create')
    .description('let a client or a person read')
    .argument('<grantee>', 'who may read: id or name of a client, id, e-mail address or account name of a person')
    .addOption(new Option('--file <name>', 'this complete file').conflicts('prefix'))
    .option('--prefix <prefix>', 'all files whose names begin with it, those to come included')
    .option('--expires-in <time>', 'how long, as 12h or 30d (default: until it is revoked)', parseDuration)
    .option('--owner <who>', 'id or name of whose files they are; for administrators')
    .action((who: string, options: NewGrant, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const { expiresIn } = options;
        const owner = await optionalIdOf(context, options.owner);
        const grantee = await idOf(context, who, { serverKnows: true });
        const lasts = expiresIn === undefined ? {} : { expires_in: Math.ceil(expiresIn / 1000) };
        show(out, await client.grants.create({ grantee, ...whatOf(options), ...lasts }, { owner, signal }));
        return undefined;
      }),
    );
}

/** @throws UsageError without either */
function whatOf({ file, prefix }: NewGrant): { filename: string } | { prefix: string } {
  if (file !== undefined) return { filename: file };
  if (prefix !== undefined) return { prefix };
  throw new UsageError('Say what may be read: --file or --prefix.');
}

function listed(grants: readonly Grant[]): string {
  const rows = grants.map((one) => [
    one.grant_id,
    one.owner,
    one.grantee,
    one.expires_at ?? 'never',
    one.kind === 'prefix' ? `${one.name}*` : one.name,
  ]);
  return table([['GRANT', 'OWNER', 'MAY READ', 'EXPIRES', 'FILES'], ...rows]);
}

function show(out: Output, made: Grant): void {
  const rows = [
    ['grant id', made.grant_id],
    ['may read', made.grantee],
    [made.kind, made.name],
    ['expires', made.expires_at ?? 'never'],
  ];
  out.result(made, table(rows));
}
