/** `lading grants create|list|revoke` */
import { type Command, Option } from 'commander';
import type { Grant } from '../../client/client.ts';
import { run } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import type { Output } from '../shared/output.ts';
import { idOf, optionalIdOf } from '../shared/principals.ts';
import { parseDuration, table } from '../shared/values.ts';

const HELP = `
A grant lets another client or person of your tenant read a file, or all files whose names begin with a prefix. The grantee
reads them with --owner and your id.

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
    .description('create, list and revoke grants: let others read your files')
    .addHelpText('after', HELP);
  addCreate(grants);
  grants
    .command('list')
    .description('list the grants that you gave and received')
    .option('--owner <who>', 'grants of this client or person, by id or name (administrators only)')
    .action((options: { owner?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        const list = await client.grants.list({ owner, signal });
        out.result(list, tableOf([...list.given, ...list.received]));
        return undefined;
      }),
    );
  grants
    .command('revoke')
    .description('revoke a grant that you gave or received, and stop the downloads that use it')
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
    .description('let a client or person read files')
    .argument('<grantee>', 'client (id or name) or person (id, e-mail address or account name) who may read')
    .addOption(new Option('--file <name>', 'grant one complete file').conflicts('prefix'))
    .option('--prefix <prefix>', 'grant all files whose names begin with this, including future ones')
    .option('--expires-in <time>', 'lifetime such as 12h or 30d (default: until revoked)', parseDuration)
    .option('--owner <who>', 'owner of the files, by id or name (administrators only)')
    .action((who: string, options: NewGrant, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const { expiresIn } = options;
        const owner = await optionalIdOf(context, options.owner);
        const grantee = await idOf(context, who, { serverResolves: true });
        const lifetime = expiresIn === undefined ? {} : { expires_in: Math.ceil(expiresIn / 1000) };
        show(out, await client.grants.create({ grantee, ...targetOf(options), ...lifetime }, { owner, signal }));
        return undefined;
      }),
    );
}

/** @throws UsageError without either option */
function targetOf({ file, prefix }: NewGrant): { filename: string } | { prefix: string } {
  if (file !== undefined) return { filename: file };
  if (prefix !== undefined) return { prefix };
  throw new UsageError('Specify what to grant: --file or --prefix.');
}

function tableOf(grants: readonly Grant[]): string {
  const rows = grants.map((one) => [
    one.grant_id,
    one.owner,
    one.grantee,
    one.expires_at ?? 'never',
    one.kind === 'prefix' ? `${one.name}*` : one.name,
  ]);
  return table([['GRANT', 'OWNER', 'GRANTEE', 'EXPIRES', 'FILES'], ...rows]);
}

function show(out: Output, grant: Grant): void {
  const rows = [
    ['grant id', grant.grant_id],
    ['grantee', grant.grantee],
    [grant.kind, grant.name],
    ['expires', grant.expires_at ?? 'never'],
  ];
  out.result(grant, table(rows));
}
