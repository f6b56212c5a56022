/** `lading audit` */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCommandLine } from '../../support/product/admin-command-line.ts';

test('audit lists actions and refusals, newest first, up to --limit', async (t) => {
  const { server, lading, json } = await startCommandLine(t);
  const created = await json(['tokens', 'create', '--user', server.client.id]);
  assert.equal((await lading(['tenants', 'list'], server.client.token)).code, 3);
  const { entries } = await json(['audit', '--action', 'token_created']);
  const [entry, ...more] = entries as Record<string, unknown>[];
  assert.equal(more.length, 0);
  assert.deepEqual([entry?.principal, entry?.target, entry?.outcome], [server.admin.id, created.token_id, 'ok']);
  assert.ok(!JSON.stringify(entries).includes(String(created.token)));
  for (let i = 0; i < 3; i += 1) await json(['tokens', 'create']);
  const times = async (limit: string): Promise<string[]> => {
    const { entries: found } = await json(['audit', '--limit', limit, '--action', 'token_created']);
    return (found as { time: string }[]).map(({ time }) => time);
  };
  const all = await times('1000000');
  assert.equal(all.length, 4);
  assert.deepEqual(all, [...all].sort().reverse());
  assert.deepEqual(await times('2'), all.slice(0, 2));
  const text = await lading(['audit']);
  assert.match(text.stdout, /^TIME +ACTION +OUTCOME +PRINCIPAL +ADDRESS +TARGET +DETAIL\n/);
  assert.match(text.stdout, /refusal +refused/);
  assert.equal((await lading(['audit', '--limit', '0'])).code, 2);
  assert.equal((await lading(['audit'], server.client.token)).code, 3);
});
