/** Webhook receivers with unusual replies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createPlainServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { atEnd, startServer } from '../../support/product/server.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';

/** Answers each complete request with these bytes, and keeps the connection or ends it. */
async function receiverOfBytes(t: TestContext, answer: string, ends = false) {
  const sockets = new Set<Socket>();
  const seen = { requests: 0, ids: new Set<string>(), connections: 0, url: '' };
  const server = createPlainServer((socket) => {
    sockets.add(socket);
    seen.connections += 1;
    let text = '';
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('data', (more: string) => {
      text += more;
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1]);
      if (head < 0 || text.length < head + 4 + length) return;
      seen.ids.add(/^webhook-id: (\S+)/im.exec(text)?.[1] ?? '');
      text = text.slice(head + 4 + length);
      seen.requests += 1;
      socket.write(answer);
      if (ends) socket.end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  seen.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  atEnd(t, async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return seen;
}

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const ACCEPTED: Record<string, [answer: string, ends?: boolean]> = {
  'an unexpected 100': [`HTTP/1.1 100 Continue\r\n\r\n${OK}`],
  'two unexpected 100s': [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100\r\n\r\n${OK}`],
  '102 and 103': [`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${OK}`],
  'HTTP/1.0': ['HTTP/1.0 200 OK\r\n\r\nok', true],
  'no reason phrase': ['HTTP/1.1 204\r\n\r\n'],
  'an unannounced end of the connection': [OK, true],
  'more bytes than it declares': [`${OK}${OK}`],
  'a malformed body': ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno chunk'],
  'an unassigned status of 2xx': ['HTTP/1.1 299 Taken\r\ncontent-length: 0\r\n\r\n'],
};

const REFUSED: Record<string, [answer: string, error: RegExp]> = {
  'switches protocols': ['HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', /101/],
  'does not speak HTTP': ['220 mail.example.org ESMTP\r\n', /./],
  'sends an endless head': [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`, /./],
  'sends an invalid status': ['HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n', /999/],
};

for (const [how, [answer, ends]] of Object.entries(ACCEPTED)) {
  test(`a success reply with ${how} counts as delivered, for events and files`, async (t) => {
    const server = await startServer(t, { ...WEBHOOK_SETTINGS, LADING_DELIVERY_ATTEMPTS: '1' });
    const receiver = await receiverOfBytes(t, answer, ends);
    await addHook(server, receiver.url, { name: 'events' });
    await addHook(server, receiver.url, { name: 'files', content: 'file' });
    for (const name of ['one.txt', 'two.txt', 'three.txt']) await store(server, name, ALPHABET);
    await eventually(async () => {
      const all = await deliveries(server);
      return all.length === 6 && all.every(({ ended_at: ended }) => ended !== null);
    }, 'the end of all deliveries');
    for (const { state, last_error: error } of await deliveries(server)) assert.equal(state, 'delivered', error ?? '');
    assert.equal(receiver.ids.size, 6);
    // On a connection that ends unannounced, the next request may already be on its way. It is then sent again with the same id.
    if (!ends) assert.equal(receiver.requests, 6);
  });
}

for (const [how, [answer, expected]] of Object.entries(REFUSED)) {
  test(`a delivery to a receiver that ${how} fails`, async (t) => {
    const server = await startServer(t, { ...WEBHOOK_SETTINGS, LADING_DELIVERY_ATTEMPTS: '1' });
    const receiver = await receiverOfBytes(t, answer, true);
    await addHook(server, receiver.url);
    await store(server, 'one.txt', ALPHABET);
    await eventually(async () => (await deliveries(server))[0]?.state === 'failed', 'the failed delivery');
    assert.match((await deliveries(server))[0]?.last_error ?? '', expected);
  });
}

test('a receiver can refuse a large file before it has all of it, and its status counts', async (t) => {
  const server = await startServer(t, { ...WEBHOOK_SETTINGS, LADING_DELIVERY_ATTEMPTS: '1' });
  let taken = 0;
  const receiver = createServer((request, response) => {
    request.once('data', (piece: Buffer) => {
      taken += piece.length;
      request.pause();
      response.writeHead(413).end('too large');
    });
  });
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  atEnd(t, async () => {
    receiver.close();
    receiver.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  await addHook(server, url, { content: 'file' });
  await store(server, 'large.bin', Buffer.alloc(24 * 1024 * 1024, 'large '));
  await eventually(async () => (await deliveries(server))[0]?.state === 'failed', 'the failed delivery');
  assert.equal((await deliveries(server))[0]?.last_error, 'the receiver answered 413');
  assert.ok(taken > 0);
});
