/** `lading deliveries` against a real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { runCli } from '../../support/servers/processes.ts';
import { put } from '../../support/wire/downloads.ts';

test('deliveries creates, lists and deletes targets, and lists and retries deliveries', async (t) => {
  const server = await startServer(t, { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_ATTEMPTS: '1' });
  const env = { LADING_SERVER: server.origin, LADING_TOKEN: server.admin.token };
  const lading = (args: string[], input = '') => runCli(t, ['deliveries', ...args], { env, input });
  // Nothing listens on port 9.
  const ftp = ['targets', 'add', 'ftp', '--host', '127.0.0.1', '--port', '9', '--username', 'me', '--prefix', 'logs/'];
  const created = await lading([...ftp, '--name', 'archive', '--json'], 'the password of it\n');
  assert.equal(created.code, 0, created.stderr);
  const target = JSON.parse(created.stdout) as { id: string; password: string; rule: object };
  assert.equal(target.password, '********');
  assert.deepEqual(target.rule, { owner: null, prefix: 'logs/', type: null });
  const hook = await lading(['targets', 'add', 'webhook', '--url', 'http://127.0.0.1:9/', '--event', 'file.deleted']);
  assert.match(hook.stdout, /secret whsec_\S+\nThe secret is not shown again/);
  const listed = await lading(['targets', 'list']);
  assert.match(listed.stdout, /ftp +archive +127\.0\.0\.1:9\/ +logs\/…/);
  assert.ok(!listed.stdout.includes('whsec_') && !listed.stdout.includes('password of it'));

  await put(server, 'logs/a.txt', 0, Buffer.from('abc'), { total_size: '3' });
  let failed = '';
  await eventually(async () => {
    failed = (await lading(['list', '--state', 'failed', '--json'])).stdout;
    return failed.includes('logs/a.txt');
  }, 'the failure');
  const { deliveries } = JSON.parse(failed) as { deliveries: { id: string; last_error: string }[] };
  assert.match(deliveries[0]?.last_error ?? '', /ECONNREFUSED/);
  const again = await lading(['retry', deliveries[0]?.id ?? '']);
  assert.deepEqual([again.code, again.stdout.includes('archive')], [0, true], again.stderr);

  assert.match((await lading(['targets', 'disable', target.id])).stdout, /archive is disabled/);
  assert.match((await lading(['targets', 'list'])).stdout, /disabled: An administrator disabled it/);
  assert.match((await lading(['targets', 'enable', target.id])).stdout, /archive is enabled/);
  assert.equal((await lading(['targets', 'rm', target.id])).code, 0);
  assert.ok(!(await lading(['targets', 'list'])).stdout.includes('archive'));
  assert.notEqual((await lading(['targets', 'rm', target.id])).code, 0);
  assert.equal((await lading(['targets', 'add', 'ftp', '--host', 'x', '--port', 'many'])).code, 2);
});
