/** A TLS handshake that takes too long is aborted, even if it is completed later. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { atEnd, startServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';

test('a handshake that ends after its timeout closes only its connection', async (t) => {
  const server = await startServer(t, {
    LADING_IDLE_SECONDS: '1',
    ...(await tlsSettings(await temporaryFolder(t))),
  });
  // Forwards the ClientHello and holds back everything after it.
  const held: Buffer[] = [];
  const relay = createServer((down) => {
    const up = connectTcp(server.port, '127.0.0.1');
    up.on('error', () => {}).on('close', () => down.destroy());
    up.pipe(down);
    let first = true;
    down
      .on('error', () => {})
      .on('data', (bytes: Buffer) => {
        if (first) up.write(bytes);
        else held.push(bytes);
        first = false;
      });
    relay.emit('held', up);
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  atEnd(t, async () => {
    relay.close();
  });
  const { port } = relay.address() as { port: number };
  const begun = once(relay, 'held') as Promise<[Socket]>;
  const tooLate = once(server.app.server.server, 'tlsClientError');
  const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  client.on('error', () => {});
  const closed = new Promise((resolve) => client.once('close', resolve));
  const [up] = await begun;
  client.once('secureConnect', () => {
    client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  });
  await tooLate;
  for (const bytes of held) up.write(bytes);
  await closed;
  assert.equal((await server.app.server.inject('/health')).statusCode, 200);
});
