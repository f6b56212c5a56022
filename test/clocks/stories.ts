/**
 * What clients do with a server whose date is being set. Each story calls `step` between its requests, and asserts what must be true
 * at any date: no bytes are lost, no valid request is refused and no invalid one is accepted.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import type { ApiTokenCreated } from '../../src/protocol/schemas/identity/token.ts';
import { eventually } from '../support/eventually.ts';
import { basic, grant, granted, isTokenValid } from '../support/product/oauth.ts';
import type { TestServer } from '../support/product/server.ts';
import { startReceiver } from '../support/servers/webhook-receiver.ts';
import { ALPHABET, put } from '../support/wire/downloads.ts';
import { append, begin as beginResumable } from '../support/wire/resumable.ts';
import { begin as beginTus, offsetOf, send } from '../support/wire/tus.ts';

export type Server = Pick<TestServer, 'origin' | 'port' | 'admin' | 'client'>;

export interface Scene {
  t: TestContext;
  server: TestServer;
  /** A file name that is unique to this run of the story. */
  name: string;
  /** May set the date. */
  step(): Promise<void>;
}

export type Story = (scene: Scene) => Promise<void>;

async function asJson<T>(reply: Promise<Response>, status: number): Promise<T> {
  const { status: got, ...body } = await reply.then(async (r) => ({ status: r.status, text: await r.text() }));
  assert.equal(got, status, body.text);
  return JSON.parse(body.text === '' ? '{}' : body.text) as T;
}

function post({ origin, client }: TestServer, path: string, body: object): Promise<Response> {
  const headers = { ...client.headers, 'content-type': 'application/json' };
  return fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function assertStored({ origin, client }: TestServer, name: string, bytes: Buffer = ALPHABET): Promise<void> {
  const reply = await fetch(`${origin}/api/files/download/${name}`, { headers: client.headers });
  assert.equal(reply.status, 200);
  assert.deepEqual(Buffer.from(await reply.arrayBuffer()), bytes);
}

const chunks: Story = async ({ server, name, step }) => {
  for (const at of [10, 0, 20, 15, 5]) {
    await put(server, name, at, ALPHABET.subarray(at, at + 5), { total_size: '26' });
    await step();
    await asJson(fetch(`${server.origin}/api/sweep`, { method: 'POST', headers: server.admin.headers }), 200);
    await step();
  }
  await put(server, name, 25, ALPHABET.subarray(25), { total_size: '26' });
  await step();
  await assertStored(server, name);
};

/** A device that sends a chunk a few bytes at a time. */
const slowly: Story = async ({ server, name, step }) => {
  const chunk = encodeChunk(0, ALPHABET);
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    `POST /api/files/upload?filename=${name}&total_size=26 HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n` +
      `Content-Length: ${chunk.length}\r\nAuthorization: ${server.client.headers.authorization}\r\nConnection: close\r\n\r\n`,
  );
  let reply = '';
  socket.on('data', (bytes) => {
    reply += bytes.toString();
  });
  for (let at = 0; at < chunk.length; at += 9) {
    socket.write(chunk.subarray(at, at + 9));
    await step();
    assert.equal((await fetch(`${server.origin}/health`)).status, 200);
  }
  await once(socket, 'close');
  assert.match(reply, /^HTTP\/1\.1 200 /);
  await assertStored(server, name);
};

const tus: Story = async ({ server, name, step }) => {
  const metadata = `filename ${Buffer.from(name).toString('base64')}`;
  const url = await beginTus(server, { 'upload-length': '26', 'upload-metadata': metadata });
  for (let at = 0; at < 26; at += 9) {
    await step();
    assert.equal(await offsetOf(server, url), at);
    await step();
    assert.equal((await send(server, url, at, ALPHABET.subarray(at, at + 9))).status, 204);
  }
  await step();
  await assertStored(server, name);
};

const resumable: Story = async ({ server, name, step }) => {
  const disposition = { 'content-disposition': `attachment; filename="${name}"` };
  const url = await beginResumable(server, ALPHABET.subarray(0, 9), disposition);
  await step();
  assert.equal((await append(server, url, 9, ALPHABET.subarray(9, 20), '?0')).status, 204);
  await step();
  const last = await append(server, url, 20, ALPHABET.subarray(20), '?1');
  assert.ok(last.status >= 200 && last.status < 300, last.body);
  await step();
  await assertStored(server, name);
};

/** An upload that is idle until it is parked, and then continues. Needs a server that parks uploads soon. */
const parked: Story = async ({ server, name, step }) => {
  const { origin, admin, client } = server;
  await put(server, name, 0, ALPHABET.subarray(0, 13), { total_size: '26' });
  await step();
  const isParked = async (): Promise<boolean> => {
    await asJson(fetch(`${origin}/api/sweep`, { method: 'POST', headers: admin.headers }), 200);
    const status = fetch(`${origin}/api/files/status/${name}`, { headers: client.headers });
    const { stale, bytes_received: bytes } = await asJson<{ stale?: boolean; bytes_received: number }>(status, 200);
    assert.equal(bytes, 13, 'no bytes are lost');
    return stale === true;
  };
  await eventually(isParked, 'a parked upload');
  for (let n = 0; n < 3; n += 1) {
    await step();
    await isParked();
  }
  await put(server, name, 13, ALPHABET.subarray(13), { total_size: '26' });
  await step();
  await assertStored(server, name);
};

const share: Story = async ({ server, name, step }) => {
  await put(server, name, 0, ALPHABET, { total_size: '26' });
  const make = (seconds: number): Promise<{ url: string }> =>
    asJson(post(server, `/api/files/share/${name}`, { expires_in: seconds }), 201);
  const [long, short] = [await make(3600), await make(60)];
  const brief = await make(1);
  const status = async ({ url }: { url: string }): Promise<number> => {
    const reply = await fetch(url);
    await reply.arrayBuffer();
    return reply.status;
  };
  await step();
  await eventually(async () => (await status(brief)) === 404, 'an expired link');
  for (let n = 0; n < 4; n += 1) {
    await step();
    assert.equal(await status(long), 200);
    assert.equal(await status(brief), 404, 'the link has expired');
  }
  // The link of one minute may have expired on a busy machine; then it stays expired.
  const first = await status(short);
  await step();
  assert.ok(first === 200 || (await status(short)) === 404);
};

const apiTokens: Story = async ({ server, step }) => {
  const make = (seconds: number): Promise<ApiTokenCreated> =>
    asJson(post(server, '/api/tokens', { scopes: ['files:read'], expires_in: seconds }), 201);
  const [long, brief] = [await make(3600), await make(1)];
  await step();
  await eventually(async () => !(await isTokenValid(server.origin, brief.token)), 'an expired token');
  for (let n = 0; n < 4; n += 1) {
    await step();
    assert.equal(await isTokenValid(server.origin, long.token), true);
    assert.equal(await isTokenValid(server.origin, brief.token), false);
  }
};

/** A session whose tokens are refreshed again and again. */
const refresh: Story = async ({ server, step }) => {
  const { origin, client } = server;
  let now = await granted(await grant(origin, client, { grant_type: 'client_credentials' }));
  for (let n = 0; n < 5; n += 1) {
    await step();
    assert.equal(await isTokenValid(origin, now.access_token), true);
    await step();
    now = await granted(
      await grant(origin, client, { grant_type: 'refresh_token', refresh_token: now.refresh_token ?? '' }),
    );
  }
  const revoke = new URLSearchParams({ token: now.access_token });
  await fetch(`${origin}/api/oauth/revoke`, { method: 'POST', headers: basic(client), body: revoke });
  for (let n = 0; n < 2; n += 1) {
    await step();
    assert.equal(await isTokenValid(origin, now.access_token), false, 'it was revoked');
  }
};

/** Sends requests until one is refused with 429, and checks that no date lets a request pass before `Retry-After` is over. */
async function staysRefused(step: Scene['step'], ask: () => Promise<Response>): Promise<void> {
  for (let n = 0; n < 5000; n += 1) {
    const sent = performance.now();
    const refusal = await ask();
    await refusal.arrayBuffer();
    if (refusal.status !== 429) continue;
    const until = sent + (Number(refusal.headers.get('retry-after')) - 1) * 1000;
    for (let attempt = 0; attempt < 4; attempt += 1) {
      await step();
      const next = await ask();
      await next.arrayBuffer();
      assert.ok(next.status === 429 || performance.now() >= until, `accepted too early: ${next.status}`);
    }
    return;
  }
  assert.fail('no request was refused');
}

const throttle: Story = async ({ server, step }) => {
  const { client_id: username } = await asJson<{ client_id: string }>(
    fetch(`${server.origin}/api/clients`, {
      method: 'POST',
      headers: { ...server.admin.headers, 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'client' }),
    }),
    201,
  );
  const body = new URLSearchParams({ username, password: 'wrong' });
  await staysRefused(step, () => fetch(`${server.origin}/auth/token`, { method: 'POST', body }));
};

const rates: Story = async ({ server, step }) => {
  const { token } = await asJson<ApiTokenCreated>(
    post(server, '/api/tokens', { scopes: ['files:read'], expires_in: 3600 }),
    201,
  );
  await staysRefused(step, () =>
    fetch(`${server.origin}/api/files`, { headers: { authorization: `Bearer ${token}` } }),
  );
};

const delivery: Story = async ({ t, server, name, step }) => {
  const receiver = await startReceiver(t);
  receiver.answer(503);
  const target = { kind: 'webhook', url: receiver.url, name };
  const { secret = '', target_id: id } = await asJson<{ secret?: string; target_id?: string }>(
    fetch(`${server.origin}/api/deliveries/targets`, {
      method: 'POST',
      headers: { ...server.admin.headers, 'content-type': 'application/json' },
      body: JSON.stringify(target),
    }),
    201,
  );
  receiver.secret = secret;
  await put(server, name, 0, ALPHABET, { total_size: '26' });
  await step();
  const ours = () => receiver.received.filter(({ event }) => event.filename === name);
  await eventually(() => ours().length > 0, 'the first attempt');
  await step();
  receiver.answer(204);
  const attempts = ours().length;
  await eventually(() => ours().length > attempts, 'another attempt');
  assert.ok(ours().every(({ signed }) => signed));
  await step();
  if (id !== undefined)
    await fetch(`${server.origin}/api/deliveries/targets/${id}`, { method: 'DELETE', headers: server.admin.headers });
};

export const STORIES = {
  chunks,
  slowly,
  tus,
  resumable,
  share,
  apiTokens,
  refresh,
  throttle,
  rates,
  delivery,
  parked,
} satisfies Record<string, Story>;
