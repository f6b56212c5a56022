/** Connections that are lost at any moment of an upload, over both protocols: the name can be used afterwards. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ServerHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { createLog } from '../../../src/http/observe/log.ts';
import { headersFrame, request } from '../../fuzz/frame-wire.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import {
  FILE_WRITES,
  type FileWrite,
  OLD,
  type PreparedRequest,
  sendPrepared,
  visibleState,
} from '../../support/tables/file-writes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import { frame, rawSession } from '../../support/wire/unread.ts';

type Protocol = 'HTTP/1.1' | 'HTTP/1.1 in chunks' | 'HTTP/2' | 'HTTP/2 without a length';
/** `late`: reading the body begins after the server knows the loss. */
type Moment = 'after the head' | 'after a part of the body' | 'late' | 'late, after the whole body';

const PROTOCOLS: Protocol[] = ['HTTP/1.1', 'HTTP/1.1 in chunks', 'HTTP/2', 'HTTP/2 without a length'];
const MOMENTS: Moment[] = ['after the head', 'after a part of the body', 'late', 'late, after the whole body'];
const BRINGS_BYTES = FILE_WRITES.filter(
  ({ kind, how = '' }) => kind !== 'removes' && kind !== 'seals' && !how.includes('empty'),
);

/** An idle time longer than any test, so that only the loss of the connection ends a request. */
async function patientServer(t: TestContext): Promise<TestServer> {
  const tls = await tlsSettings(await temporaryFolder(t));
  return await startServer(t, { LADING_REGISTRATION: 'open', LADING_IDLE_SECONDS: '3600', ...tls });
}

/**
 * Sends the head and the given number of bytes of the body. Returns a function that drops the connection. After a complete HTTP/1.1 request
 * it sends a reset, because a client that only closes its side may wait for the answer.
 */
async function send(
  { port }: TestServer,
  protocol: Protocol,
  { method, path, headers, body = new Uint8Array() }: PreparedRequest,
  bytes: number,
): Promise<() => void> {
  const length = { 'content-length': String(body.length) };
  const framing = { 'HTTP/1.1 in chunks': { 'transfer-encoding': 'chunked' }, 'HTTP/2 without a length': {} };
  const fields: Record<string, string> = { ...headers, ...(framing[protocol as keyof typeof framing] ?? length) };
  const part = body.subarray(0, bytes);
  const raw = connect(port, '127.0.0.1');
  const ALPNProtocols = [protocol.startsWith('HTTP/2') ? 'h2' : 'http/1.1'];
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols });
  for (const each of [raw, socket]) each.on('error', () => {});
  await once(socket, 'secureConnect');
  if (protocol.startsWith('HTTP/1.1')) {
    const lines = Object.entries({ host: 'localhost', ...fields }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    if (protocol === 'HTTP/1.1') socket.write(part);
    else if (bytes > 0)
      socket.write(Buffer.concat([Buffer.from(`${bytes.toString(16)}\r\n`), part, Buffer.from('\r\n')]));
    if (protocol !== 'HTTP/1.1' && bytes === body.length) socket.write('0\r\n\r\n');
    return () => (bytes === body.length ? raw.resetAndDestroy() : socket.destroy());
  }
  const session = connectHttp2(`https://localhost:${port}`, { createConnection: () => socket });
  session.on('error', () => {});
  const stream = session.request({ ':method': method, ':path': path, ...fields }, { endStream: false });
  stream.on('error', () => {});
  stream.write(part);
  if (bytes === body.length) stream.end();
  return () => socket.destroy();
}

/** Resolves when the server knows that the connection of the message is lost. */
async function lossOf(message: IncomingMessage): Promise<void> {
  const stream = 'stream' in message ? (message.stream as ServerHttp2Stream) : null;
  const carrier = stream ?? message.socket;
  // `once` would reject if the loss is an error.
  if (!carrier.destroyed) await new Promise((resolve) => carrier.once('close', resolve));
  // Wait until the effects of the loss in this turn of the event loop have happened.
  await new Promise((resolve) => setImmediate(resolve));
}

/** Blocks all requests to the engine until `until` resolves. */
function holdEngine({ app: { engine } }: TestServer, until: () => Promise<void>): () => void {
  const { receiveChunk, receiveFile, append } = engine;
  engine.receiveChunk = async (...given) => await until().then(() => receiveChunk.apply(engine, given));
  engine.receiveFile = async (...given) => await until().then(() => receiveFile.apply(engine, given));
  engine.append = async (...given) => await until().then(() => append.apply(engine, given));
  return () => Object.assign(engine, { receiveChunk, receiveFile, append });
}

async function drop(
  server: TestServer,
  write: FileWrite,
  protocol: Protocol,
  moment: Moment,
  name: string,
): Promise<void> {
  const prepared = await write.prepare(server, name);
  const headers = { ...server.client.headers, ...(await write.as?.(server)), ...prepared.headers };
  const arrival = once(server.app.server.server, 'request') as Promise<[IncomingMessage]>;
  const late = moment.startsWith('late');
  const release = late ? holdEngine(server, async () => lossOf((await arrival)[0])) : () => {};
  const all = prepared.body?.length ?? 0;
  const bytes = { 'after the head': 0, 'after a part of the body': 100, late: 100, 'late, after the whole body': all }[
    moment
  ];
  const end = await send(server, protocol, { ...prepared, headers }, bytes);
  const [message] = await arrival;
  end();
  await lossOf(message);
  await eventually(() => server.app.engine.gauges().receiving === 0, `${write.operation} ends`);
  release();
}

for (const protocol of PROTOCOLS) {
  test(`over ${protocol}: a name can be reused at once when the connection of an upload is lost`, async (t) => {
    const server = await patientServer(t);
    let number = 0;
    for (const write of BRINGS_BYTES) {
      for (const moment of MOMENTS) {
        number += 1;
        const name = `${number}.wav`;
        const shown = `${write.operation}, ${write.how ?? ''}, ${moment}`;
        await drop(server, write, protocol, moment, name);
        // A partial body is never a complete file. A body that arrived completely may be one.
        if (!moment.includes('whole'))
          assert.doesNotMatch(await visibleState(server, write, name), /"complete"/, shown);
        const put = { method: 'PUT', path: `/api/files/content/${name}`, headers: {}, body: OLD };
        let last = '';
        await eventually(async () => {
          const { status, body } = await sendPrepared(server, write, put);
          last = `${status} ${body}`;
          return status === 200 || status === 201;
        }, `${shown}: the name is free: ${last}`);
        const got = await sendPrepared(server, write, {
          method: 'GET',
          path: `/api/files/download/${name}`,
          headers: {},
        });
        assert.equal(got.body, Buffer.from(OLD).toString(), shown);
      }
    }
  });
}

test('a name can be reused after a lost HTTP/2 connection with many requests for it', async (t) => {
  const server = await patientServer(t);
  const place = { authority: `localhost:${server.port}`, token: server.client.token, names: [], operations: [] };
  // The server answers while the client leaves: in about every second round a write fails at once, of which node says nothing.
  for (let round = 0; round < 8; round += 1) {
    const name = `many${round}.bin`;
    const socket = await rawSession(server.port);
    socket.resume();
    const head = request(place, 'PUT', `/api/files/content/${name}`);
    for (let n = 0; n < 300; n += 1) socket.write(headersFrame(11 + 2 * n, head, 4));
    await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    const put = { method: 'PUT', path: `/api/files/content/${name}`, headers: {}, body: OLD };
    await eventually(async () => {
      const { status } = await sendPrepared(server, FILE_WRITES[0] as FileWrite, put);
      return status === 200 || status === 201;
    }, `${name} is free`);
  }
});

for (const protocol of PROTOCOLS) {
  test(`over ${protocol}: a client that leaves while it waits for the bytes of another one holds no memory`, async (t) => {
    const server = await patientServer(t);
    const writes = BRINGS_BYTES.filter(({ operation }) => operation.startsWith('POST /api/files/upload'));
    for (const [number, write] of writes.entries()) {
      const name = `waits${number}.wav`;
      const prepared = await write.prepare(server, name);
      const asked = { ...prepared, headers: { ...server.client.headers, ...prepared.headers } };
      const receiving = (count: number): Promise<void> =>
        eventually(() => server.app.engine.gauges().receiving === count, `${count} of ${write.how} are received`);
      const ends: (() => void)[] = [];
      for (const count of [1, 2, 3]) {
        ends.push(await send(server, protocol, asked, (asked.body?.length ?? 0) - 100));
        await receiving(count);
      }
      for (const [count, end] of [...ends.entries()].reverse()) {
        end();
        await receiving(count);
      }
      const { status, body } = await sendPrepared(server, write, prepared);
      assert.equal(status, 200, `${write.how}: ${body}`);
    }
  });
}

test('a name can be reused after an error of the whole HTTP/2 session', async (t) => {
  const server = await patientServer(t);
  const place = { authority: `localhost:${server.port}`, token: server.client.token, names: [], operations: [] };
  const errors = {
    'DATA of no stream': frame(0, 0, 0, Buffer.alloc(8)),
    'a header section that is no HPACK': frame(1, 4, 13, Buffer.alloc(40, 0xff)),
    'a window of zero bytes more': frame(8, 0, 0, Buffer.alloc(4)),
    'a frame that is too long': frame(0, 0, 11, Buffer.alloc(20_000)),
    'a stream of an even number': headersFrame(12, request(place, 'GET', '/health')),
  };
  for (const [number, [what, wrong]] of Object.entries(errors).entries()) {
    const name = `error${number}.bin`;
    const socket = await rawSession(server.port);
    socket.resume();
    socket.write(headersFrame(11, request(place, 'PUT', `/api/files/content/${name}`), 4));
    await eventually(() => server.app.engine.gauges().receiving === 1, `${name} is received`);
    const answered = once(socket, 'data');
    socket.write(wrong);
    await answered;
    socket.destroy();
    const put = { method: 'PUT', path: `/api/files/content/${name}`, headers: {}, body: OLD };
    await eventually(async () => {
      const { status } = await sendPrepared(server, FILE_WRITES[0] as FileWrite, put);
      return status === 200 || status === 201;
    }, `${what}: ${name} is free`);
  }
});

test('connections that are reset during the handshake leave no state', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const log = createLog('debug', { write: (line) => void lines.push(JSON.parse(line)) });
  const tls = await tlsSettings(await temporaryFolder(t));
  const server = await startServer(t, { LADING_IDLE_SECONDS: '3600', ...tls }, { log });
  const place = { authority: `localhost:${server.port}`, token: server.client.token, names: [], operations: [] };
  const put = request(place, 'PUT', '/api/files/content/early.bin');
  const requests = {
    h2: [
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, 0, Buffer.alloc(0)),
      ...Array.from({ length: 100 }, (_, n) => headersFrame(11 + 2 * n, put, 4)),
    ],
    'http/1.1': [Buffer.from('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  };
  const { server: listener } = server.app.server;
  const before = await promisify(listener.getConnections.bind(listener))();
  for (const [protocol, bytes] of Object.entries(requests)) {
    for (let times = 0; times < 8; times += 1) {
      const raw = connect(server.port, '127.0.0.1');
      const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: [protocol] });
      for (const each of [raw, socket]) each.on('error', () => {});
      await once(socket, 'secureConnect');
      // All bytes arrive together with the last message of the handshake.
      socket.write(Buffer.concat(bytes), () => raw.resetAndDestroy());
      await once(raw, 'close');
    }
  }
  await eventually(
    async () => (await promisify(listener.getConnections.bind(listener))()) <= before,
    'the connections are closed',
  );
  await eventually(() => server.app.engine.gauges().receiving === 0, 'nothing is received');
  assert.doesNotMatch(await visibleState(server, FILE_WRITES[0] as FileWrite, 'early.bin'), /"complete"/);
  const requested = lines.filter(({ msg }) => msg === 'request');
  for (const line of requested) assert.equal(line.address, '127.0.0.1', JSON.stringify(line));
  const puts = requested.filter(({ method }) => method === 'PUT');
  assert.ok(puts.length > 0, 'the requests arrive before the loss is known');
  for (const line of puts) assert.ok([409, 499].includes(Number(line.status)), JSON.stringify(line));
  assert.equal(new Set(requested.map((line) => line.request_id)).size, requested.length, 'one line for each');
});
