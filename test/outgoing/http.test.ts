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

/** Starts a server on loopback. It redirects to `location`, if given. */
async function service(t: TestContext, location: string | null = null): Promise<Service> {
  const server = createServer((_request, response) => {
    response.writeHead(location === null ? 200 : 307, location === null ? {} : { location }).end('here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const started = { origin: `http://127.0.0.1:${port}`, port, connections: 0 };
  server.on('connection', () => {
    started.connections += 1;
  });
  return started;
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

test('an origin in the settings may be private, other private hosts are refused in any notation', async (t) => {
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

test('a redirect to a private host is refused', async (t) => {
  const other = await service(t);
  const named = await service(t, `${other.origin}/`);
  await isRefused(through(t, [named.origin]).fetch(named.origin));
  assert.equal(named.connections, 1);
  assert.equal(other.connections, 0);
  assert.equal((await through(t, [], true).fetch(named.origin)).status, 200);
  assert.equal(other.connections, 1);
});

test('connections to public hosts must use https', async (t) => {
  await isRefused(through(t, []).fetch('http://name.invalid/'));
  // The check passes; the name cannot be resolved.
  await assert.rejects(
    through(t, []).fetch('https://name.invalid/'),
    ({ cause }: Error) => !(cause instanceof LadingError),
  );
});
