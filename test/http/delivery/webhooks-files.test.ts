/** Webhooks: private networks, files as content, and tenants. */
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TargetCreated } from '../../../src/protocol/schemas/delivery.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { sign, startServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

test('disabling private webhooks also applies to existing targets', async (t) => {
  const open = await startServer(t, WEBHOOK_SETTINGS);
  const receiver = await startReceiver(t);
  await addHook(open, receiver.url);
  await open.close();
  const server = await startServer(t, { LADING_DELIVERY_ATTEMPTS: '1' }, {}, open.dataDir);
  await store(server, 'letters.txt', ALPHABET);
  await eventually(async () => (await deliveries(server, '?state=failed')).length === 1, 'the failure');
  assert.equal(receiver.received.length, 0);
  const [failed] = await deliveries(server);
  assert.match(failed?.last_error ?? '', /https/);
});

test('a webhook with content "file" gets the bytes, signed by their digest, until it accepts them', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const bytes = Buffer.alloc(3_000_000, 'lading ');
  const requests: { headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const receiver = createServer((request, response) => {
    const blocks: Buffer[] = [];
    request.on('data', (block: Buffer) => blocks.push(block));
    request.on('end', () => {
      requests.push({ headers: request.headers, body: Buffer.concat(blocks) });
      response.writeHead(requests.length === 1 ? 503 : 200).end();
    });
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  t.after(() => receiver.close());
  const { port } = receiver.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  const { secret = '' } = await addHook(server, url, { content: 'file', rule: { prefix: 'a/' } });
  await put(server, 'a/große Datei.bin', 0, bytes, { total_size: String(bytes.length) });
  await eventually(async () => (await deliveries(server, '?state=delivered')).length === 1, 'the delivery');
  assert.equal(requests.length, 2);
  for (const { headers, body } of requests) {
    assert.ok(bytes.equals(body));
    assert.equal(headers['content-digest'], `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`);
    const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${headers['content-digest']}`;
    const expected = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
      .update(text)
      .digest('base64');
    assert.equal(headers['webhook-signature'], `v1,${expected}`);
    assert.match(headers['content-disposition'] ?? '', /filename\*=UTF-8''gro%C3%9Fe%20Datei\.bin/);
  }
  assert.equal(requests[0]?.headers['webhook-id'], requests[1]?.headers['webhook-id']);
  await put(server, 'a/empty.bin', 0, Buffer.alloc(0), { total_size: '0' });
  await eventually(async () => (await deliveries(server, '?state=delivered')).length === 2, 'the empty file');
  assert.equal(requests.at(-1)?.body.length, 0);
  const { origin, client, admin } = server;
  const status = await fetch(`${origin}/api/files/status/${encodeURIComponent('a/große Datei.bin')}`, client);
  const fileStatus = (await status.json()) as FileStatus;
  assert.deepEqual(
    fileStatus.deliveries?.map(({ state, attempts }) => [state, attempts]),
    [['delivered', 2]],
  );
  const both = await fetch(`${origin}/api/deliveries/targets`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'webhook', url, content: 'file', events: ['file.deleted'] }),
  });
  await assertProblemReply(both, 'invalid_request');
});

test('a tenant neither gets the events of another nor sees its targets and deliveries', async (t) => {
  const { dataDir } = await seededFolder(t, (identity) =>
    identity.clients.create({ id: 'root', secret: 'the-secret-of-the-root', role: 'root', name: null }),
  );
  const server = await startServer(t, WEBHOOK_SETTINGS, {}, dataDir);
  const { origin, admin, app } = server;
  const root = sign(app, 'root', 'root').headers;
  const receiver = await startReceiver(t);
  await addHook(server, receiver.url);
  const json = { ...root, 'content-type': 'application/json' };
  const created = await fetch(`${origin}/api/tenants`, { method: 'POST', headers: json, body: '{"tenant_id":"acme"}' });
  assert.equal(created.status, 201);
  const body = JSON.stringify({ kind: 'webhook', url: receiver.url, name: 'theirs', events: ['file.deleted'] });
  const theirs = await fetch(`${origin}/api/deliveries/targets?tenant=acme`, { method: 'POST', headers: json, body });
  assert.equal(theirs.status, 201);
  const { id } = (await theirs.json()) as TargetCreated;
  await store(server, 'letters.txt', ALPHABET);
  await fetch(`${origin}/api/files/letters.txt`, { method: 'DELETE', headers: server.client.headers });
  await eventually(async () => (await deliveries(server, '?state=delivered')).length === 1, 'the delivery');
  assert.deepEqual(
    receiver.received.map(({ event }) => event.type),
    ['file.completed'],
  );
  for (const path of ['targets?tenant=acme', '?tenant=acme']) {
    const foreign = await fetch(`${origin}/api/deliveries/${path}`.replace('/?', '?'), { headers: admin.headers });
    await assertProblemReply(foreign, 'forbidden');
  }
  const url = `${origin}/api/deliveries/targets/${id}`;
  await assertProblemReply(await fetch(url, { method: 'DELETE', headers: admin.headers }), 'not_found');
  const own = await fetch(`${origin}/api/deliveries/targets`, { headers: admin.headers });
  assert.ok(!(await own.text()).includes('theirs'));
  assert.equal((await fetch(url, { method: 'DELETE', headers: root })).status, 200);
});

test('deleting a tenant deletes its targets and deliveries; a new tenant with the same id has neither', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.clients.create({ id: 'root', secret: 'the-secret-of-the-root', role: 'root', name: null });
    await identity.tenants.create('acme', 'Acme');
    await identity.clients.create({
      id: 'wile',
      secret: 'the-secret-of-wile',
      role: 'client',
      name: null,
      tenant: 'acme',
    });
  });
  const server = await startServer(t, WEBHOOK_SETTINGS, {}, dataDir);
  const { origin, app } = server;
  const receiver = await startReceiver(t);
  receiver.answer(500);
  const json = { ...sign(app, 'root', 'root').headers, 'content-type': 'application/json' };
  const body = JSON.stringify({ kind: 'webhook', url: receiver.url });
  const created = await fetch(`${origin}/api/deliveries/targets?tenant=acme`, { method: 'POST', headers: json, body });
  assert.equal(created.status, 201);
  const wile = { ...server.client, ...sign(app, 'wile', 'client') };
  await put({ ...server, client: wile }, 'letters.txt', 0, ALPHABET, { total_size: '26' });
  await eventually(() => receiver.received.length > 0, 'an attempt');
  for (const [method, path, sent] of [
    ['DELETE', '/api/tenants/acme', null],
    ['POST', '/api/tenants', '{"tenant_id":"acme"}'],
  ] as const) {
    const reply = await fetch(`${origin}${path}`, {
      method,
      headers: sent === null ? { authorization: json.authorization } : json,
      body: sent,
    });
    assert.ok(reply.ok, await reply.text());
  }
  const remaining = async (path: string) => (await fetch(`${origin}${path}?tenant=acme`, { headers: json })).json();
  assert.deepEqual(await remaining('/api/deliveries/targets'), { targets: [] });
  assert.deepEqual(await remaining('/api/deliveries'), { deliveries: [], next_cursor: null });
  await server.close();
  assert.deepEqual(await readdir(join(dataDir, 'v1/targets')), []);
  assert.deepEqual(await readdir(join(dataDir, 'v1/deliveries')), []);
});
