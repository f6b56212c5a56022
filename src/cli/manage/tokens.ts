/** `lading tokens list|create|rotate|revoke` */

import type { Command } from 'commander';
import type { ApiTokenCreated } from '../../client/client.ts';
import { LadingError } from '../../client/client.ts';
import { run } from '../shared/command.ts';
import type { Output } from '../shared/output.ts';
import { optionalIdOf } from '../shared/principals.ts';
import { parseDuration, table } from '../shared/values.ts';

const HELP = `
An API token authenticates a program. Send it as "Authorization: Bearer …", or pass it to these commands in LADING_TOKEN.
It is limited to its scopes and never has more rights than its owner.

Examples:
  $ lading tokens create --name backup --scope read
  $ lading tokens create --scope files:read files:write --expires-in 30d --json | jq -r .token
  $ lading tokens create --user camera-7 --scope write
  $ lading tokens list
  $ lading tokens rotate 5d41402abc4b2a76
  $ lading tokens revoke 5d41402abc4b2a76`;

interface NewToken {
  user?: string;
  scope?: string[];
  /** Milliseconds. */
  expiresIn?: number;
  name?: string;
}

export function addTokens(root: Command): void {
  const tokens = root
    .command('tokens')
    .description('create, list, rotate and revoke API tokens')
    .addHelpText('after', HELP);
  addList(tokens);
  addCreate(tokens);
  tokens
    .command('rotate')
    .description('replace the secret of a token; the old secret stops working at once')
    .argument('<token-id>', 'id of the token (not the token itself)')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        show(out, await client.tokens.rotate(id, { signal }));
        return undefined;
      }),
    );
  tokens
    .command('revoke')
    .description('revoke a token; it stops working at once')
    .argument('<token-id>', 'id of the token (not the token itself)')
    .action((id: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        await client.tokens.revoke(id, { signal });
        out.result({ revoked: id }, '');
        return undefined;
      }),
    );
}

function addList(tokens: Command): void {
  tokens
    .command('list')
    .description('list valid tokens: your own, or those of the tenant (administrators)')
    .option('--user <who>', 'only tokens of this client or person, by id or name')
    .option('--revoked', 'include tokens that were revoked in the last 30 days')
    .action((options: { user?: string; revoked?: boolean }, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const { revoked = false } = options;
        const user = await optionalIdOf(context, options.user);
        const list = await client.tokens.list(user, { signal, revoked });
        const rows = list.map((one) => [
          one.token_id,
          one.owner_id,
          one.scopes.join(' '),
          String(one.uses),
          one.last_used ?? 'never',
          one.active ? (one.expires_at ?? 'never') : 'revoked',
          one.name ?? '',
        ]);
        const head = ['TOKEN', 'OWNER', 'SCOPES', 'USES', 'LAST USED', 'EXPIRES', 'NAME'];
        out.result({ tokens: list }, table([head, ...rows], [3]));
        return undefined;
      }),
    );
}

function addCreate(tokens: Command): void {
  tokens
    .command('create')
    .description('create a token; it is shown only once')
    .option('--scope <scope...>', 'read, write, or scopes such as files:read (default: read and write)')
    .option('--expires-in <time>', 'lifetime such as 12h or 30d (default: until revoked)', parseDuration)
    .option('--name <name>', 'name for lists and logs')
    .option('--user <who>', 'client or person that it acts for, by id or name (administrators only)')
    .action((options: NewToken, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const { scope, expiresIn, name } = options;
        const user = await optionalIdOf(context, options.user);
        const body = {
          ...(user === undefined ? {} : { user_id: user }),
          ...(scope === undefined ? {} : { scopes: scope }),
          ...(expiresIn === undefined ? {} : { expires_in: Math.ceil(expiresIn / 1000) }),
          ...(name === undefined ? {} : { name }),
        };
        const created = await client.tokens.create(body, { signal });
        // The server accepts an unknown id as a label. On the command line, it is a typing error.
        if (user !== undefined && created.user_id !== created.owner_id) {
          await client.tokens.revoke(created.token_id, { signal });
          throw new LadingError('not_found', `There is no client or person with the id ${user}.`);
        }
        show(out, created);
        return undefined;
      }),
    );
}

function show(out: Output, token: ApiTokenCreated): void {
  const rows = [
    ['token id', token.token_id],
    ['token', token.token],
    ['scopes', token.scopes.join(' ')],
    ['expires', token.expires_at ?? 'never'],
  ];
  out.result(token, `${table(rows)}\nThe token is not shown again.`);
}
