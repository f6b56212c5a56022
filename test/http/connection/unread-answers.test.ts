/** A client that does not read is cut off, on every route and over both protocols, and others are served. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer, type TestSettings } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import {
  type Ask,
  askUnread,
  frame,
  openRoutes,
  pipelineUnread,
  rawSession,
  requestFrame,
  secureSocket,
  session,
} from '../../support/wire/unread.ts';

const IDLE = { LADING_IDLE_SECONDS: '2' };
const WIDE = 2 ** 31 - 1;
const EVENTS = { accept: 'text/event-stream' };

async function secureServer(t: TestContext, settings: TestSettings = {}): Promise<TestServer> {
  return startServer(t, { ...IDLE, ...(await tlsSettings(await temporaryFolder(t))), ...settings });
}

/** Reads the metric of a server over plain HTTP. */
async function routes(t: TestContext): Promise<Ask[]> {
  const found = await openRoutes((await startServer(t)).origin);
  assert.ok(found.length > 30, `${found.length} open routes`);
  return found;
}

/** Routes with large or endless answers. */
async function signedInRoutes({ app, client, admin }: TestServer): Promise<Ask[]> {
  for (let index = 0; index < 60; index += 1) {
    const reply = await app.server.inject({
      method: 'PUT',
      url: `/api/files/content/file-${index}.bin`,
      headers: { ...client.headers, 'content-type': 'application/octet-stream' },
      payload: randomBytes(index === 0 ? 400_000 : 10),
    });
    assert.equal(reply.statusCode, 201, reply.body);
  }
  const get = (path: string, headers: Record<string, string> = {}) => {
    return { method: 'GET', path, headers: { ...client.headers, ...headers } };
  };
  return [
    get('/api/files?limit=1000'),
    get('/api/events', EVENTS),
    get('/api/files/status/unknown', EVENTS),
    get('/api/files/download/file-0.bin'),
    get('/api/files/download/file-0.bin', { range: 'bytes=0-99999,200000-299999' }),
    { method: 'GET', path: '/metrics', headers: admin.headers },
  ];
}

async function connectionsOf({ app }: TestServer): Promise<number> {
  return promisify(app.server.server.getConnections.bind(app.server.server))();
}

/** Another client, which reads. */
async function isServed({ port }: TestServer): Promise<void> {
  const socket = await secureSocket(port);
  socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  const [head] = (await once(socket, 'data')) as [Buffer];
  assert.match(head.toString(), /^HTTP\/1\.1 200 /);
  socket.destroy();
}

test('HTTP/1.1: pipelined requests with unread answers are ended, on any route', async (t) => {
  const open = await routes(t);
  for (const secure of [false, true]) {
    const server = secure ? await secureServer(t) : await startServer(t, IDLE);
    const all = [...open, ...(await signedInRoutes(server))].filter(({ headers }) => headers?.accept === undefined);
    const dial = async () => {
      return secure ? secureSocket(server.port) : connect(server.port, '127.0.0.1');
    };
    // A request that cannot be routed runs no hooks of a route.
    const lists = [all, all.slice(-1), [{ method: 'GET', path: '/%ff' }]];
    await Promise.all(lists.map(async (asks) => pipelineUnread(await dial(), asks)));
    await eventually(async () => (await connectionsOf(server)) === 0, 'every connection ends');
    const { body } = await server.app.server.inject({ url: '/metrics', headers: server.admin.headers });
    assert.match(body, /^lading_unread_answers_total [1-9]/m);
  }
});

test('HTTP/2: streams whose window stays closed are ended, on any route, and then the session', async (t) => {
  const open = await routes(t);
  const server = await secureServer(t);
  const all = [...open, ...(await signedInRoutes(server))];
  const client = await session(server.port, 0);
  const closed = once(client, 'close');
  await Promise.all(all.slice(0, 100).map((ask) => askUnread(client, ask)));
  await isServed(server);
  await closed;
  await eventually(async () => (await connectionsOf(server)) === 0, 'every connection ends');
});

test('HTTP/2: only the stream whose window stays closed ends while others of its session are read', async (t) => {
  const server = await secureServer(t);
  const client = await session(server.port, 0);
  t.after(() => client.destroy());
  const unread = client.request({ ':path': '/openapi.json' });
  unread.on('error', () => {});
  const events = { ':path': '/api/events', ...server.client.headers, ...EVENTS };
  client.settings({ initialWindowSize: 65_535 });
  await once(client, 'localSettings');
  const read = client.request(events);
  read.resume();
  await once(read, 'response');
  // More bytes than the window, and the client reads none.
  await once(unread, 'close');
  assert.equal(unread.rstCode, constants.NGHTTP2_CANCEL);
  assert.equal(client.destroyed, false);
  const again = client.request({ ':path': '/health' });
  const [headers] = (await once(again, 'response')) as [{ ':status': number }];
  assert.equal(headers[':status'], 200);
});

test('HTTP/2: stalled connections with open windows are ended, and their memory is limited', async (t) => {
  const server = await secureServer(t);
  const before = process.memoryUsage().rss;
  for (let count = 0; count < 40; count += 1) {
    const socket = await rawSession(server.port, WIDE);
    for (let stream = 1; stream < 240; stream += 2) socket.write(requestFrame(stream, '/openapi.json'));
    t.after(() => socket.destroy());
  }
  await isServed(server);
  await eventually(async () => (await connectionsOf(server)) === 0, 'every connection ends');
  // Clients and server share this process; 4,800 documents of 800 KB would need 4 GB.
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 600 * 1024 ** 2, `${grown} bytes`);
});

test('HTTP/2: endless requests and floods of frames end only their own session', async (t) => {
  const server = await secureServer(t);
  const gone = () => eventually(async () => (await connectionsOf(server)) === 0, 'the connection ends');

  const half = await session(server.port, 65_535);
  const open = half.request({ ':path': '/openapi.json', ':method': 'GET' }, { endStream: false });
  open.on('error', () => {});
  open.resume();
  await once(open, 'close');
  half.destroy();
  await gone();

  const ping = frame(6, 0, 0, Buffer.alloc(8));
  const settings = frame(4, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0]));
  const continuation = frame(9, 0, 1, Buffer.alloc(1000, 0x82));
  let stream = -1;
  const reset = (): Buffer => {
    stream += 2;
    return Buffer.concat([requestFrame(stream, '/health'), frame(3, 0, stream, Buffer.from([0, 0, 0, 8]))]);
  };
  const floods: [first: Buffer, more: () => Buffer][] = [
    [Buffer.alloc(0), () => ping],
    [Buffer.alloc(0), () => settings],
    [frame(1, 0, 1, Buffer.from([0x82])), () => continuation],
    [Buffer.alloc(0), reset],
  ];
  for (const [first, more] of floods) {
    const socket = await rawSession(server.port);
    socket.write(first);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const send = (): void => {
      while (!socket.destroyed && socket.write(Buffer.concat(Array.from({ length: 200 }, more))));
    };
    socket.on('drain', send);
    send();
    await closed;
    await gone();
    await isServed(server);
  }
});

test('connections without a complete request are ended', async (t) => {
  for (const secure of [false, true]) {
    const server = secure ? await secureServer(t) : await startServer(t, IDLE);
    for (const sent of ['', 'GET /health HTTP/1.1\r\nHost: a\r\n', 'GET']) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(sent);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      await closed;
    }
  }
});

test('an address has limits of connections and running requests, and a trusted proxy has none', async (t) => {
  const server = await startServer(t, { LADING_ADDRESS_CONNECTIONS: '3' });
  const sockets = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const socket = connect(server.port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
  const fourth = connect(server.port, '127.0.0.1');
  fourth.on('error', () => {});
  await new Promise((resolve) => fourth.once('close', resolve));
  sockets[0]?.destroy();
  await eventually(async () => (await connectionsOf(server)) === 2, 'one leaves');
  assert.equal((await fetch(`${server.origin}/health`)).status, 200);
  for (const socket of sockets) socket.destroy();

  const secure = await secureServer(t, { LADING_ADDRESS_CONNECTIONS: '3', LADING_IDLE_SECONDS: '60' });
  const client = await session(secure.port, 65_535);
  t.after(() => client.destroy());
  const follow = () => client.request({ ':path': '/api/events', ...secure.client.headers, ...EVENTS });
  for (let count = 0; count < 3; count += 1) await once(follow(), 'response');
  const [refusal] = (await once(follow(), 'response')) as [{ ':status': number; 'retry-after': string }];
  assert.equal(refusal[':status'], 503);
  assert.equal(refusal['retry-after'], '5');

  const proxied = await startServer(t, { LADING_ADDRESS_CONNECTIONS: '2', LADING_TRUST_PROXY: 'loopback' });
  const held = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const socket = connect(proxied.port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
  const from = (address: string) => fetch(`${proxied.origin}/health`, { headers: { 'x-forwarded-for': address } });
  assert.equal((await from('192.0.2.1')).status, 200);
  for (const socket of held) socket.destroy();
});
