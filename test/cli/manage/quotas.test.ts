import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { addPerson, seededFolder } from '../../support/product/identity.ts';
import { sign, startServer } from '../../support/product/server.ts';
import { jsonLines, runCli } from '../../support/servers/processes.ts';
import { bytesOf, deviceOf } from '../../support/tables/fixtures.ts';

const GIB = 1024 ** 3;

async function setUp(t: TestContext) {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.clients.create({ id: 'top', secret: 'the-secret-of-a-root', role: 'root', name: null });
    return addPerson(identity, 'ada@example.org');
  });
  const server = await startServer(t, { LADING_QUOTA_OPEN_UPLOADS: '50' }, {}, dataDir);
  const lading = (args: readonly string[], token = server.admin.token) =>
    runCli(t, ['quotas', ...args], { env: { LADING_SERVER: server.origin, LADING_TOKEN: token } });
  const json = async (args: readonly string[], token?: string): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await lading([...args, '--json'], token);
    assert.equal(code, 0, stderr + stdout);
    const [value, ...more] = jsonLines(stdout);
    assert.ok(value !== undefined && more.length === 0, stdout);
    return value;
  };
  return { server, ada: seeded, top: sign(server.app, 'top', 'root').token, lading, json };
}

const limits = (bytes: number | null, open: number | null, day: number | null) => ({
  bytes,
  open_uploads: open,
  day_bytes: day,
});

test('quotas shows the own limits, and administrators show and set those of others', async (t) => {
  const { server, ada, lading, json } = await setUp(t);
  const { client } = server;
  await deviceOf(t, server).uploadChunk('f', { start: 0, data: bytesOf(2048), totalSize: 4096 });
  const used = limits(2048, 1, 2048);
  assert.deepEqual(await json([], client.token), { limits: limits(null, 50, null), used });

  const set = ['set', 'client', client.id, '--bytes', '10GiB', '--open-uploads', '3', '--day-bytes', '5GiB'];
  const after = { limits: limits(10 * GIB, 3, 5 * GIB), used };
  assert.deepEqual(await json(set), after);
  assert.deepEqual(await json([], client.token), after);
  assert.deepEqual(await json(['show', 'client', client.id]), after);
  const shown = await lading([], client.token);
  assert.equal(
    shown.stdout,
    [
      '                               USED     LIMIT',
      'bytes stored                2.0 KiB  10.0 GiB',
      'unfinished uploads                1         3',
      'bytes uploaded today (UTC)  2.0 KiB   5.0 GiB',
      '',
    ].join('\n'),
  );
  // Omitted limits fall back to the settings; 0 means unlimited, whatever the settings say.
  const open = await json(['set', 'client', client.id, '--open-uploads', '0']);
  assert.deepEqual(open.limits, limits(null, null, null));
  assert.match((await lading(['show', 'client', client.id])).stdout, /^unfinished uploads +1 +unlimited$/m);
  assert.deepEqual((await json(['set', 'client', client.id, '--none'])).limits, limits(null, 50, null));

  for (const who of [ada, 'ada@example.org']) {
    assert.deepEqual((await json(['set', 'person', who, '--bytes', '1M'])).limits, limits(1024 ** 2, 50, null));
    assert.deepEqual((await json(['show', 'person', who])).limits, limits(1024 ** 2, 50, null));
  }
});

test('only root sets the limits of a tenant, and its administrators see them', async (t) => {
  const { server, top, lading, json } = await setUp(t);
  const args = ['set', 'tenant', 'default', '--bytes', '1TiB'];
  assert.equal((await lading(args)).code, 3);
  assert.deepEqual((await json(args, top)).limits, limits(1024 * GIB, null, null));
  assert.deepEqual((await json(['show', 'tenant', 'default'])).limits, limits(1024 * GIB, null, null));
  assert.equal((await lading(['show', 'tenant', 'default'], server.client.token)).code, 3);
  assert.deepEqual((await json([...args.slice(0, 3), '--none'], top)).limits, limits(null, null, null));
});

test('unknown ids, missing rights and wrong usage have their exit codes', async (t) => {
  const { server, lading } = await setUp(t);
  const { id, token } = server.client;
  const code = async (args: string[], by?: string) => (await lading(args, by)).code;
  assert.equal(await code(['show', 'client', 'nobody']), 4);
  assert.equal(await code(['show', 'person', 'nobody@example.org']), 4);
  assert.equal(await code(['set', 'client', 'nobody', '--bytes', '1']), 4);
  assert.equal(await code(['set', 'client', id, '--bytes', '1'], token), 3);
  for (const args of [
    ['set', 'client', id],
    ['set', 'client', id, '--none', '--bytes', '1'],
    ['set', 'client', id, '--bytes', 'much'],
    ['set', 'client', id, '--bytes=-1'],
    ['set', 'client', id, '--open-uploads', '1.5'],
    ['show', 'group', id],
    ['show', 'client'],
    ['raise'],
  ]) {
    assert.equal(await code(args), 2, args.join(' '));
  }
  assert.match((await lading(['set', '--help'])).stdout, /--day-bytes <size>/);
  assert.match((await lading(['--help'])).stdout, /Examples:\n {2}\$ lading quotas\n/);
});
