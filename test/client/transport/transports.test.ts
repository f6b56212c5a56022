import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { NetworkError } from '../../../src/client/transport/failures.ts';
import { fetchTransport } from '../../../src/client/transport/fetch.ts';
import { readText, type Transport, type TransportRequest } from '../../../src/client/transport/transport.ts';
import { undiciTransport } from '../../../src/client/transport/undici.ts';
import { bytesOf } from '../../support/tables/fixtures.ts';

const TRANSPORTS: Record<string, () => Transport> = { fetch: fetchTransport, undici: undiciTransport };

for (const [name, make] of Object.entries(TRANSPORTS)) {
  const scenario = (title: string, body: (t: TestContext, transport: Transport) => Promise<void>) =>
    test(`${name}: ${title}`, async (t) => {
      const transport = make();
      t.after(() => transport.close());
      await body(t, transport);
    });

  scenario('a body of several parts is sent in order with its exact length', async (t, transport) => {
    const [first, second] = [bytesOf(17), bytesOf(300_000, 2)];
    const { url, requests } = await listen(t, (socket) => socket.end(reply('200 OK', 'done')), 17 + 300_000);
    let sent = 0;
    const onSent = (bytes: number) => {
      sent += bytes;
    };
    const response = await transport.request({ ...base(url), body: [first, second], onSent });
    assert.equal(await readText(response), 'done');
    assert.equal(response.header('x-extra'), 'yes');
    assert.equal(response.header('nothing'), null);
    assert.equal(sent, 300_017);
    const request = requests[0] ?? Buffer.alloc(0);
    const split = request.indexOf('\r\n\r\n') + 4;
    assert.match(request.subarray(0, split).toString(), /content-length: 300017\r\n/i);
    assert.deepEqual(request.subarray(split), Buffer.concat([first, second]));
  });

  scenario('an empty body sends Content-Length: 0', async (t, transport) => {
    const { url, requests } = await listen(t, (socket) => socket.end(reply('200 OK', '')));
    (await transport.request({ ...base(url), body: [] })).discard();
    assert.match(String(requests[0]), /content-length: 0\r\n/i);
  });

  scenario('a reply that ends before its declared length is a network error', async (t, transport) => {
    const { url } = await listen(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this');
      setTimeout(() => socket.destroy(), 20);
    });
    const response = await transport.request({ ...base(url), method: 'GET' });
    await assert.rejects(readText(response), NetworkError);
  });

  scenario('a request fails when the server never replies or stalls during the reply', async (t, transport) => {
    const silent = await listen(t, () => {});
    await assert.rejects(transport.request({ ...base(silent.url), method: 'GET', idleMs: 60 }), NetworkError);
    const stops = await listen(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly'));
    // Long enough to receive the head on any machine.
    const response = await transport.request({ ...base(stops.url), method: 'GET', idleMs: 1500 });
    await assert.rejects(readText(response), NetworkError);
  });

  scenario('a refused connection is a network error', async (t, transport) => {
    const { url, close } = await listen(t, () => {});
    await close();
    await assert.rejects(transport.request({ ...base(url), method: 'GET' }), NetworkError);
  });

  scenario('an aborted request throws the reason of the signal, before and during the reply', async (t, transport) => {
    const { url } = await listen(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly'));
    const reason = new Error('enough');
    const controller = new AbortController();
    const response = await transport.request({ ...base(url), method: 'GET', signal: controller.signal });
    const reading = readText(response);
    setTimeout(() => controller.abort(reason), 10);
    await assert.rejects(reading, reason);
    await assert.rejects(transport.request({ ...base(url), method: 'GET', signal: controller.signal }), reason);
  });

  scenario('a refusal that arrives while the body is still being sent is read', async (t, transport) => {
    const { url } = await listen(t, (socket) => {
      socket.write(reply('409 Conflict', 'no'));
      // Keep the connection open for a moment, as a server does so that its reply is read.
      setTimeout(() => socket.destroy(), 5_000).unref();
    });
    const response = await transport.request({ ...base(url), body: [bytesOf(64), new Uint8Array(8 * 1024 * 1024)] });
    assert.equal(response.status, 409);
    assert.equal(await readText(response), 'no');
  });
}

function base(url: string): TransportRequest {
  return { method: 'POST', url, headers: {}, idleMs: 5_000 };
}

function reply(status: string, text: string): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${text.length}\r\nX-Extra: yes\r\nConnection: close\r\n\r\n${text}`;
}

/** Starts a bare socket server that calls `answer` when the head and `after` bytes of a request have arrived. */
async function listen(t: TestContext, answer: (socket: Socket) => void, after = 0) {
  const requests: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let seen = Buffer.alloc(0);
    let answered = false;
    socket.on('data', (bytes) => {
      if (answered) return;
      seen = Buffer.concat([seen, bytes]);
      const head = seen.indexOf('\r\n\r\n');
      if (head < 0 || seen.length < head + 4 + after) return;
      answered = true;
      requests.push(seen);
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  t.after(close);
  return { url: `http://127.0.0.1:${port}/`, requests, close };
}
