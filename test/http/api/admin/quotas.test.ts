import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { encodeChunk } from '../../../../src/protocol/chunk.ts';
import type { NewQuota, QuotaReport } from '../../../../src/protocol/schemas/quota.ts';
import { addPerson, seededFolder } from '../../../support/product/identity.ts';
import { type Account, sign, startServer, type TestServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';

function send({ origin }: TestServer, who: Account, name: string, length: number, size?: number, start = 0) {
  const query = size === undefined ? '' : `&total_size=${size}`;
  return fetch(`${origin}/api/files/upload?filename=${name}${query}`, {
    method: 'POST',
    headers: { ...who.headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(start, Buffer.alloc(length, 'x')),
  });
}

function put({ origin }: TestServer, who: Account, path: string, body: NewQuota) {
  return fetch(`${origin}/api/quotas/${path}`, {
    method: 'PUT',
    headers: { ...who.headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function quotaOf({ origin }: TestServer, who: Account, path = 'me'): Promise<QuotaReport> {
  const reply = await fetch(`${origin}/api/quotas/${path}`, { headers: who.headers });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  return (await reply.json()) as QuotaReport;
}

test('an upload over the quota is refused with 413, the limit and the usage, and stored files stay', async (t) => {
  const server = await startServer(t, { LADING_QUOTA_BYTES: '100' });
  const { client, origin, admin } = server;
  assert.equal((await send(server, client, 'a', 60, 60)).status, 200);
  const problem = await assertProblemReply(await send(server, client, 'b', 10, 41), 'quota_exceeded');
  assert.deepEqual([problem.expected, problem.actual], [100, 101]);
  assert.equal((await send(server, client, 'c', 30)).status, 200);
  await assertProblemReply(await send(server, client, 'c', 11, undefined, 30), 'quota_exceeded');
  const report: QuotaReport = {
    limits: { bytes: 100, open_uploads: 10_000, day_bytes: null },
    used: { bytes: 90, open_uploads: 1, day_bytes: 90 },
  };
  assert.deepEqual(await quotaOf(server, client), report);
  assert.deepEqual(await quotaOf(server, admin, `client/${client.id}`), report);
  assert.equal((await quotaOf(server, admin, 'tenant/default')).used.bytes, 90);
  const status = await fetch(`${origin}/api/files/status/b`, { headers: client.headers });
  assert.equal(((await status.json()) as { status: string }).status, 'pending');
  await fetch(`${origin}/api/files/a`, { method: 'DELETE', headers: client.headers });
  assert.equal((await send(server, client, 'b', 41, 41)).status, 200);
});

test('an upload over the quota is refused before its body is read', async (t) => {
  const server = await startServer(t, { LADING_QUOTA_BYTES: '100' });
  const reply = await new Promise<string>((resolve, reject) => {
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    socket
      .setEncoding('latin1')
      .on('error', reject)
      .on('data', (text: string) => {
        socket.destroy();
        resolve(text);
      });
    socket.write(
      'POST /api/files/upload?filename=a&total_size=101 HTTP/1.1\r\nHost: x\r\nContent-Length: 118\r\nExpect: 100-continue\r\n' +
        `Content-Type: application/octet-stream\r\nAuthorization: ${server.client.headers.authorization}\r\n\r\n`,
    );
  });
  assert.match(reply, /^HTTP\/1\.1 413 /);
});

test('an administrator sets the quota of a client: it applies at once, survives a restart and is audited', async (t) => {
  const server = await startServer(t);
  const { client, admin, origin } = server;
  const set = await put(server, admin, `client/${client.id}`, { open_uploads: 1, day_bytes: 0 });
  assert.equal(set.status, 200);
  assert.deepEqual(((await set.json()) as QuotaReport).limits, { bytes: null, open_uploads: 1, day_bytes: null });
  assert.equal((await send(server, client, 'a', 1, 2)).status, 200);
  await assertProblemReply(await send(server, client, 'b', 1, 2), 'quota_exceeded');
  assert.equal((await put(server, admin, `client/${client.id}`, {})).status, 200);
  assert.equal((await send(server, client, 'b', 1, 2)).status, 200);
  const audit = await fetch(`${origin}/api/audit?action=quota_set`, { headers: admin.headers });
  const { entries } = (await audit.json()) as { entries: { target: string }[] };
  assert.deepEqual(
    entries.map(({ target }) => target),
    [`client/${client.id}`, `client/${client.id}`],
  );
});

test('principals without the rights neither set nor read a quota', async (t) => {
  const server = await startServer(t);
  const { client, admin, origin } = server;
  await assertProblemReply(await put(server, client, `client/${client.id}`, {}), 'insufficient_scope');
  await assertProblemReply(await put(server, admin, 'tenant/default', { bytes: 0 }), 'insufficient_scope');
  await assertProblemReply(await put(server, admin, 'client/nobody', {}), 'not_found');
  await assertProblemReply(await put(server, admin, 'person/nobody', {}), 'not_found');
  const wrong = { bytes: -1 };
  await assertProblemReply(await put(server, admin, `client/${client.id}`, wrong), 'validation_failed');
  const see = (path: string, who: Account) => fetch(`${origin}/api/quotas/${path}`, { headers: who.headers });
  await assertProblemReply(await see(`client/${admin.id}`, client), 'insufficient_scope');
  await assertProblemReply(await see('tenant/other', admin), 'not_found');
  await assertProblemReply(await see(`planet/${client.id}`, admin), 'not_found');
  await assertProblemReply(await put(server, admin, `planet/${client.id}`, {}), 'not_found');
});

test('an administrator cannot set the quota of a higher role or of another tenant', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('acme', 'Acme');
    await identity.clients.create({ id: 'root', secret: 'the-secret-of-root', role: 'root', name: null });
    return {
      near: await addPerson(identity, 'top@example.org', 'root'),
      far: await addPerson(identity, 'far@acme.example', 'client', 'acme'),
    };
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { app, admin } = server;
  for (const path of ['client/root', `person/${seeded.near}`]) {
    await assertProblemReply(await put(server, admin, path, { bytes: 1 }), 'insufficient_scope');
  }
  assert.equal((await put(server, admin, `client/${admin.id}`, { bytes: 0 })).status, 200, 'a client of the same role');
  for (const path of [`person/${seeded.far}`, 'client/nobody']) {
    await assertProblemReply(await put(server, admin, path, {}), 'not_found');
  }
  const root = { ...admin, ...sign(app, 'root', 'root') };
  for (const path of ['client/root', `person/${seeded.far}`, 'tenant/acme']) {
    assert.equal((await put(server, root, path, { bytes: 1 })).status, 200, path);
  }
  const narrow = { ...admin, ...sign(app, 'root', 'root', 'device', 'files:read users:admin') };
  await assertProblemReply(await put(server, narrow, `person/${seeded.far}`, {}), 'insufficient_scope');
});
