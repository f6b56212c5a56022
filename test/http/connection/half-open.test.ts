/** Clients that close their side after the request, and bytes after `Upgrade`. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer, type TestSettings } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';

/** Accepts the certificate of the tests. */
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

type Carrier = 'TCP' | 'TLS';
const CARRIERS: Carrier[] = ['TCP', 'TLS'];

async function startOver(t: TestContext, carrier: Carrier, settings: TestSettings = {}): Promise<TestServer> {
  const tls = carrier === 'TLS' ? await tlsSettings(await temporaryFolder(t)) : {};
  return await startServer(t, { ...settings, ...tls });
}

function opened({ port, origin }: TestServer): Socket {
  // The connection stays half-open when the server closes its side.
  const options = { port, host: '127.0.0.1', allowHalfOpen: true };
  const socket = origin.startsWith('https:')
    ? connectTls({ ...options, ALPNProtocols: ['http/1.1'] })
    : connect(options);
  socket.on('error', () => {});
  return socket;
}

function head(line: string, ...fields: string[]): string {
  return `${line} HTTP/1.1\r\nHost: localhost\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

/** All received bytes, when the server has closed its side. */
async function allOf(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'end');
  socket.destroy();
  return Buffer.concat(pieces);
}

async function connectionsOf({ app }: TestServer): Promise<number> {
  return promisify(app.server.server.getConnections.bind(app.server.server))();
}

for (const carrier of CARRIERS) {
  test(`over ${carrier}: a client that closes its side gets the answers to its requests, and the connection ends`, async (t) => {
    const server = await startOver(t, carrier);
    const authorization = `Authorization: ${server.client.headers.authorization}`;
    const file = randomBytes(6_000_000);
    const put = head('PUT /api/files/content/large.bin', authorization, `Content-Length: ${file.length}`);
    const stored = opened(server);
    stored.end(Buffer.concat([Buffer.from(put), file]));
    assert.match((await allOf(stored)).toString(), /^HTTP\/1\.1 201 /);

    const fetched = opened(server);
    fetched.end(head('GET /api/files/download/large.bin', authorization));
    const bytes = await allOf(fetched);
    assert.deepEqual(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4), file);

    const two = opened(server);
    two.end(head('GET /health') + head('GET /nowhere'));
    const answers = (await allOf(two)).toString();
    assert.match(answers, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 404 /);

    const slow = opened(server);
    slow.end(
      head('POST /auth/token', 'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 21').concat(
        'username=a&password=b',
      ),
    );
    assert.match((await allOf(slow)).toString(), /^HTTP\/1\.1 401 /);
    await eventually(async () => (await connectionsOf(server)) === 0, 'no connection stays');
  });

  test(`over ${carrier}: an incomplete request is not answered as complete and leaves no data`, async (t) => {
    const server = await startOver(t, carrier);
    const authorization = `Authorization: ${server.client.headers.authorization}`;
    const halves = [
      'GET /health HT',
      head('GET /health').slice(0, -2),
      `${head('PUT /api/files/content/half.bin', authorization, 'Content-Length: 10')}12345`,
      `${head('PUT /api/files/content/half.bin', authorization, 'Transfer-Encoding: chunked')}5\r\n12345\r\n`,
    ];
    for (const half of halves) {
      const socket = opened(server);
      socket.end(half);
      assert.doesNotMatch((await allOf(socket)).toString(), /^HTTP\/1\.1 2/, half);
    }
    const silent = opened(server);
    silent.end();
    assert.equal((await allOf(silent)).length, 0);
    const read = await fetch(`${server.origin}/api/files/download/half.bin`, { headers: server.client.headers });
    assert.notEqual(read.status, 200);
    await eventually(async () => (await connectionsOf(server)) <= 1, 'only that of the download stays');
  });

  test(`over ${carrier}: an endless answer ends when its client closes its side`, async (t) => {
    const server = await startOver(t, carrier);
    const authorization = `Authorization: ${server.client.headers.authorization}`;
    for (const path of ['/api/events', '/api/files/status/none.bin']) {
      const socket = opened(server);
      socket.write(head(`GET ${path}`, authorization, 'Accept: text/event-stream'));
      await once(socket, 'data');
      socket.end();
      await once(socket, 'end');
      socket.destroy();
    }
    await eventually(async () => (await connectionsOf(server)) === 0, 'no connection stays');
  });

  test(`over ${carrier}: a client that closes its side and reads nothing is cut off`, async (t) => {
    const server = await startOver(t, carrier, { LADING_IDLE_SECONDS: '2' });
    const file = randomBytes(30_000_000);
    const url = `${server.origin}/api/files/content/large.bin`;
    const reply = await fetch(url, { method: 'PUT', headers: server.client.headers, body: file });
    assert.equal(reply.status, 201);
    await reply.text();
    const socket = opened(server);
    socket.pause();
    socket.end(head('GET /api/files/download/large.bin', `Authorization: ${server.client.headers.authorization}`));
    await once(socket, 'finish');
    await eventually(async () => (await connectionsOf(server)) > 0, 'the connection');
    await eventually(async () => (await connectionsOf(server)) <= 1, 'only that of the upload stays');
    socket.destroy();
  });

  test(`over ${carrier}: the connection ends with the answer to a request with Upgrade`, async (t) => {
    const server = await startOver(t, carrier);
    const authorization = `Authorization: ${server.client.headers.authorization}`;
    const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'];
    const requests: [string, RegExp][] = [
      [head('GET /health', ...upgrade), /^HTTP\/1\.1 200 /],
      [head('GET /health', 'Connection: upgrade', 'Upgrade: websocket'), /^HTTP\/1\.1 200 /],
      [head('GET /health', 'Upgrade: anything'), /^HTTP\/1\.1 200 /],
      [
        `${head('PUT /api/files/content/u.bin', authorization, ...upgrade, 'Content-Length: 5')}hello`,
        /^HTTP\/1\.1 201 /,
      ],
      [head('GET /nowhere', ...upgrade), /^HTTP\/1\.1 404 /],
      [head('OPTIONS /health', ...upgrade), /^HTTP\/1\.1 /],
    ];
    for (const [request, expected] of requests) {
      const socket = opened(server);
      socket.write(request + head('DELETE /api/files/u.bin', authorization));
      const answer = (await allOf(socket)).toString();
      assert.match(answer, expected, request);
      assert.match(answer, /\r\nconnection: close\r\n/i, request);
      assert.equal(answer.match(/HTTP\/1\.1 /g)?.length, 1, answer);
    }
    const kept = await fetch(`${server.origin}/api/files/download/u.bin`, { headers: server.client.headers });
    assert.equal(await kept.text(), 'hello', 'the bytes after Upgrade were not handled');
  });
}
