/** `lading share create|list|revoke` */
import type { Command } from 'commander';
import { run } from '../shared/command.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { secretFrom } from '../shared/settings.ts';
import { parseDuration, parseMany, table } from '../shared/values.ts';

const HELP = `
Anyone who has the link can read the file without an account. A link ends when it expires, is revoked or reaches its maximum
number of downloads, when the file is deleted or replaced, and when its creator loses the right to share the file.

Examples:
  $ lading share create monday.wav
  $ lading share create monday.wav --expires-in 2h --max-downloads 1 --json | jq -r .url
  $ lading share create monday.wav --password-file - < password
  $ lading share list
  $ lading share revoke 5d41402abc4b2a76`;

interface NewLink {
  /** Milliseconds. */
  expiresIn?: number;
  maxDownloads?: number;
  passwordFile?: string;
  owner?: string;
}

export function addShare(root: Command): void {
  const share = root.command('share').description('create, list and revoke share links').addHelpText('after', HELP);
  addCreate(share);
  share
    .command('list')
    .description('list valid share links')
    .argument('[name]', 'only links to this file')
    .option('--owner <who>', 'owner of the files, by id or name (administrators only)')
    .action((name: string | undefined, options: { owner?: string }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const owner = await optionalIdOf(context, options.owner);
        const shares = await client.shares.list(name, { owner, signal });
        const rows = shares.map((one) => [
          one.share_id,
          one.max_downloads === null ? String(one.downloads) : `${one.downloads} of ${one.max_downloads}`,
          one.password ? 'yes' : 'no',
          one.expires_at,
          one.created_by ?? 'another principal',
          one.filename,
        ]);
        const head = ['SHARE', 'DOWNLOADS', 'PASSWORD', 'EXPIRES', 'CREATED BY', 'FILE'];
        out.result({ shares }, table([head, ...rows], [1]));
        return undefined;
      }),
    );
  share
    .command('revoke')
    .description('revoke a link and stop the downloads that use it')
    .argument('<share-id>', 'id of the link (not the URL)')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.shares.revoke(id, { signal });
        out.result({ revoked: id }, '');
        return undefined;
      }),
    );
}

function addCreate(share: Command): void {
  share
    .command('create')
    .description('create a link to a complete file; the link is shown only once')
    .argument('<name>', 'name on the server')
    .option('--expires-in <time>', 'lifetime such as 12h or 30d (default: 7d)', parseDuration)
    .option('--max-downloads <n>', 'maximum number of complete downloads (default: unlimited)', parseMany)
    .option('--password-file <file>', 'protect the link with the password in this file ("-": standard input)')
    .option('--owner <who>', 'owner of the file, by id or name (administrators only)')
    .action((name: string, options: NewLink, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const { expiresIn, maxDownloads, passwordFile } = options;
        const owner = await optionalIdOf(context, options.owner);
        const password = await secretFrom(passwordFile);
        const body = {
          ...(expiresIn === undefined ? {} : { expires_in: Math.ceil(expiresIn / 1000) }),
          ...(maxDownloads === undefined ? {} : { max_downloads: maxDownloads }),
          ...(password === undefined ? {} : { password }),
        };
        const created = await client.shares.create(name, body, { owner, signal });
        const rows = [
          ['link', created.url],
          ['share id', created.share_id],
          ['expires', created.expires_at],
          ['downloads', created.max_downloads === null ? 'unlimited' : `at most ${created.max_downloads}`],
        ];
        out.result(created, `${table(rows)}\nThe link is not shown again.`);
        return undefined;
      }),
    );
}
