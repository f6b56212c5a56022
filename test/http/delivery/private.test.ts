/** Targets do not let the administrator of a tenant probe the network of the server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Delivery } from '../../../src/protocol/schemas/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { atEnd, sign, startServer, type TestServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

const SECRET = 'secret-of-a-client-in-a-tenant';

/** A TCP server that reveals its name and refuses every login. */
async function revealingServer(t: TestContext): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => {});
    socket.write('220 SSH-2.0-inner-machine ready\r\n');
    socket.on('data', () => socket.write('530 inner-machine does not know you\r\n'));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  atEnd(t, async () => {
    server.close();
  });
  return { port: (server.address() as { port: number }).port, connections: () => connections };
}

function targetsOf({ app, origin }: TestServer) {
  const { headers } = sign(app, 'boss', 'admin');
  const ask = (method: string, path: string, body?: object) =>
    fetch(`${origin}${path}`, {
      method,
      headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  return {
    make: (host: string, port: number) => ask('POST', '/api/deliveries/targets', { kind: 'ftp', host, port }),
    put: (name: string) =>
      fetch(`${origin}/api/files/content/${name}`, {
        method: 'PUT',
        headers: { ...headers, 'content-type': 'application/octet-stream' },
        body: 'content',
      }),
    deliveries: async () => {
      const reply = await ask('GET', '/api/deliveries');
      return ((await reply.json()) as { deliveries: Delivery[] }).deliveries;
    },
  };
}

test("a tenant's administrator cannot reach private addresses by FTP or read the replies of their servers", async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('acme', 'Acme');
    await identity.clients.create({ id: 'boss', secret: SECRET, role: 'admin', name: null, tenant: 'acme' });
  });
  const inner = await revealingServer(t);
  const closed = await startServer(t, {}, {}, dataDir);
  for (const host of ['127.0.0.1', 'localhost', '10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1']) {
    await assertProblemReply(await targetsOf(closed).make(host, inner.port), 'invalid_request');
  }
  await closed.close();

  const open = await startServer(t, { LADING_WEBHOOK_PRIVATE: 'on' }, {}, dataDir);
  const before = targetsOf(open);
  assert.equal((await before.make('127.0.0.1', inner.port)).status, 201);
  assert.equal((await before.put('a.bin')).status, 201);
  await eventually(async () => (await before.deliveries())[0]?.last_error != null, 'the delivery fails');
  assert.equal((await before.deliveries())[0]?.last_error, 'the server answered 530');
  await open.close();

  const seen = inner.connections();
  const again = await startServer(t, {}, {}, dataDir);
  const after = targetsOf(again);
  assert.equal((await after.put('b.bin')).status, 201);
  const refused = async () => (await after.deliveries()).find(({ filename }) => filename === 'b.bin')?.last_error;
  await eventually(async () => (await refused()) != null, 'the delivery is refused');
  assert.match((await refused()) ?? '', /not on the public internet/);
  assert.equal(inner.connections(), seen);
});
