import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { LadingError } from '../../src/errors.ts';
import { fetchThrough, outgoingAgent } from '../../src/outgoing/http.ts';

interface Service {
  origin: string;
  port: number;
  connections: number;
}

/** On loopback; sends on to `location` if there is one. */
async function service(t: TestContext, location: string | null = null): Promise<Service> {
  const server = createServer((_request, response) => {
    response.writeHead(location === null ? 200 : 307, location === null ? {} : { location }).end('here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const found = { origin: `http://127.0.0.1:${port}`, port, connections: 0 };
  server.on('connection', () => {
    found.connections += 1;
  });
  return found;
}

function through(t: TestContext, trusted: string[], allowPrivate = false) {
  const refused: string[] = [];
  const agent = outgoingAgent({
    trusted,
    allowPrivate,
    timeoutMs: 5000,
    onRefused: (origin) => refused.push(origin),
  });
  t.after(() => agent.destroy());
  return { fetch: fetchThrough(agent), refused };
}

async function isRefused(reply: Promise<Response>): Promise<void> {
  await assert.rejects(reply, ({ cause }: Error) => cause instanceof LadingError && cause.code === 'invalid_request');
}

test('what a setting names may be anywhere, its neighbours may not, however they are written', async (t) => {
  const named = await service(t);
  const other = await service(t);
  const { fetch, refused } = through(t, [`${named.origin}/realm`]);
  assert.equal(await (await fetch(`${named.origin}/token`)).text(), 'here');
  const hosts = ['127.0.0.1', 'localhost', '2130706433', '127.1', '[::ffff:127.0.0.1]', '[::1]', '0.0.0.0'];
  for (const host of hosts) {
    await isRefused(fetch(`http://${host}:${other.port}/`));
    await isRefused(fetch(`https://${host}:${other.port}/`));
  }
  assert.equal(other.connections, 0);
  assert.equal(refused.length, 2 * hosts.length);
  assert.ok(refused.includes(other.origin));
});

test('a redirect does not lead where its sender may not point', async (t) => {
  const other = await service(t);
  const named = await service(t, `${other.origin}/`);
  await isRefused(through(t, [named.origin]).fetch(named.origin));
  assert.equal(named.connections, 1);
  assert.equal(other.connections, 0);
  assert.equal((await through(t, [], true).fetch(named.origin)).status, 200);
  assert.equal(other.connections, 1);
});

test('public hosts are spoken to by https only', async (t) => {
  await isRefused(through(t, []).fetch('http://name.invalid/'));
  // It passes the check, and then nobody knows the name.
  await assert.rejects(
    through(t, []).fetch('https://name.invalid/'),
    ({ cause }: Error) => !(cause instanceof LadingError),
  );
});
