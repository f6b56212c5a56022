/** Concurrent uploads of one name with LADING_COMPAT=ops-client: every upload is accepted, and the newest file is the one that remains. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { PASSWORD } from '../support/product/people.ts';
import { startServer } from '../support/product/server.ts';
import { startServerProcess, temporaryFolder } from '../support/servers/processes.ts';
import { multipart, type Sent, urlencoded } from './old-client.ts';

const COMPAT = { LADING_REGISTRATION: 'open', LADING_COMPAT: 'ops-client' };
const NAME = 'nightly.log';
const AT_ONCE = 16;

async function post(origin: string, path: string, { headers = {}, body }: Sent): Promise<string> {
  const reply = await fetch(`${origin}${path}`, { method: 'POST', headers, body: body?.toString() ?? null });
  const text = await reply.text();
  assert.ok(reply.status < 300, text);
  return text;
}

/** Creates an ops account with a form and a client account with JSON. @returns their tokens */
async function signUp(origin: string): Promise<{ ops: string; client: string }> {
  const form = urlencoded({ username: 'anna', password: PASSWORD });
  const headers = { 'content-type': 'application/json' };
  const json = { headers, body: JSON.stringify({ username: 'ben', password: PASSWORD }) };
  await post(origin, '/ops/signup', form);
  await post(origin, '/client/signup', json);
  return { ops: await post(origin, '/ops/login', form), client: await post(origin, '/client/login', json) };
}

/** The content of an upload. Each has a different length and beginning. */
function contentOf(number: number): Buffer {
  return Buffer.from(`${String(number).padStart(4, '0')}|`.repeat(2000 + number));
}

interface Held {
  asked: ClientRequest;
  /** Status of the response; 0 without a response. */
  status: Promise<number>;
  /** Sends the last bytes. */
  finish(): void;
}

/** Starts a request on its own connection, and sends all but its last bytes. */
function hold(t: TestContext, origin: string, token: string, [method, path]: [string, string], sent: Sent): Held {
  const agent = new Agent({ keepAlive: false });
  t.after(() => agent.destroy());
  const body = Buffer.from(sent.body ?? '');
  const headers = { ...sent.headers, authorization: `Bearer ${token}`, 'content-length': body.length };
  const asked = request(new URL(path, origin), { method, agent, headers });
  const status = new Promise<number>((resolve) => {
    asked.on('response', (response: IncomingMessage) => {
      resolve(response.statusCode ?? 0);
      response.resume();
    });
    asked.on('error', () => resolve(0));
  });
  asked.write(body.subarray(0, -20));
  return { asked, status, finish: () => asked.end(body.subarray(-20)) };
}

function form(number: number): Sent {
  return multipart({}, { field: 'request_file', name: NAME, bytes: contentOf(number) });
}

async function fetchNewest(origin: string, client: string): Promise<string> {
  const headers = { authorization: `Bearer ${client}` };
  const names = await fetch(`${origin}/client/files/anna`, { headers });
  assert.deepEqual(await names.json(), [NAME]);
  const reply = await fetch(`${origin}/client/files/anna/${NAME}`, { headers });
  assert.equal(reply.status, 200);
  return await reply.text();
}

test('sixteen concurrent uploads of one name are all accepted, even during a PUT of that name', async (t) => {
  const { origin, app } = await startServer(t, COMPAT);
  const { ops, client } = await signUp(origin);
  // A PUT of the same name begins first.
  const put = hold(t, origin, ops, ['PUT', `/api/files/content/${NAME}`], { body: contentOf(100) });
  await eventually(() => app.engine.gauges().open_uploads === 1, 'the PUT');
  const held = Array.from({ length: AT_ONCE }, (_, n) => hold(t, origin, ops, ['POST', '/ops/upload'], form(n)));
  await eventually(() => app.engine.gauges().open_uploads === AT_ONCE + 1, 'all of them');
  for (const { finish } of held) finish();
  const statuses = await Promise.all(held.map(({ status }) => status));
  assert.deepEqual(statuses, Array(AT_ONCE).fill(201));
  const stored = await fetchNewest(origin, client);
  assert.ok(held.some((_, n) => contentOf(n).toString() === stored));
  // These finish one after another, in a different order than they began.
  const more = Array.from({ length: 4 }, (_, n) => hold(t, origin, ops, ['POST', '/ops/upload'], form(20 + n)));
  for (const n of [2, 0, 3, 1]) {
    more[n]?.finish();
    assert.equal(await more[n]?.status, 201);
    assert.equal(await fetchNewest(origin, client), contentOf(20 + n).toString());
  }
  put.finish();
  assert.ok([200, 201].includes(await put.status));
  assert.equal(await fetchNewest(origin, client), contentOf(100).toString());
  await eventually(() => app.engine.gauges().open_uploads === 0, 'no open uploads');
});

test('by default one of sixteen concurrent uploads is stored and the others are refused', async (t) => {
  const { origin } = await startServer(t, { LADING_REGISTRATION: 'open' });
  const { ops, client } = await signUp(origin);
  const held = Array.from({ length: AT_ONCE }, (_, n) => hold(t, origin, ops, ['POST', '/ops/upload'], form(n)));
  for (const { finish } of held) finish();
  const statuses = await Promise.all(held.map(({ status }) => status));
  assert.deepEqual(statuses.toSorted(), [201, ...Array(AT_ONCE - 1).fill(409)]);
  assert.equal(await fetchNewest(origin, client), contentOf(statuses.indexOf(201)).toString());
});

test('a server that is killed during sixteen uploads keeps the last acknowledged file or a newer one', async (t) => {
  const folder = await temporaryFolder(t);
  let server = await startServerProcess(t, folder, 0, COMPAT);
  const { port } = server;
  const origin = `http://127.0.0.1:${port}`;
  const { ops, client } = await signUp(origin);
  for (const round of [0, 1, 2]) {
    const number = (n: number): number => round * 100 + n;
    const held = Array.from({ length: AT_ONCE }, (_, n) =>
      hold(t, origin, ops, ['POST', '/ops/upload'], form(number(n))),
    );
    const first = held.slice(0, 3);
    for (const { finish, status } of first) {
      finish();
      assert.equal(await status, 201);
    }
    const rest = held.slice(3);
    for (const { finish } of rest) finish();
    await Promise.race(rest.map(({ status }) => status));
    await server.kill();
    await Promise.all(rest.map(({ status }) => status));
    server = await startServerProcess(t, folder, port, COMPAT);
    const stored = await fetchNewest(origin, client);
    assert.ok(
      rest.some((_, n) => contentOf(number(n + 3)).toString() === stored),
      `round ${round}: the stored file is older than an acknowledged one`,
    );
    const again = hold(t, origin, ops, ['POST', '/ops/upload'], form(number(50)));
    again.finish();
    assert.equal(await again.status, 201);
    assert.equal(await fetchNewest(origin, client), contentOf(number(50)).toString());
  }
  const [closed] = await Promise.all([once(server.process, 'close'), server.process.kill('SIGTERM')]);
  assert.equal(closed[0], 0);
});
