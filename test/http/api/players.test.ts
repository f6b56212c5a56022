/** Players: the permission of one browser to play one file, by a cookie for one address. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { type Account, startServer, type TestServer } from '../../support/product/server.ts';

interface Opened {
  url: string;
  id: string;
  cookie: string;
  /** The Set-Cookie field. */
  line: string;
}

async function store({ origin }: TestServer, { headers }: Account, name: string, body: string): Promise<void> {
  const reply = await fetch(`${origin}/api/files/content/${name}`, { method: 'PUT', headers, body });
  assert.ok(reply.ok, await reply.text());
}

async function open(server: TestServer, { headers }: Pick<Account, 'headers'>, name: string): Promise<Opened> {
  const reply = await fetch(`${server.origin}/api/files/player/${name}`, { method: 'POST', headers });
  assert.equal(reply.status, 201, await reply.clone().text());
  const { url, player_id: id } = (await reply.json()) as { url: string; player_id: string };
  const line = reply.headers.get('set-cookie') ?? '';
  return { url: `${server.origin}${url}`, id, cookie: line.split(';')[0] ?? '', line };
}

const get = ({ url, cookie }: Pick<Opened, 'url' | 'cookie'>, headers: Record<string, string> = {}) =>
  fetch(url, { headers: { cookie, ...headers } });

async function setUp(t: TestContext): Promise<TestServer & { pass(ms: number): void }> {
  let passed = 0;
  const server = await startServer(t, {}, { clock: clockOf(() => Date.now() + passed) });
  await store(server, server.client, 'tone.wav', '0123456789');
  return {
    ...server,
    pass: (ms) => {
      passed += ms;
    },
  };
}

test('a player reads a file or ranges of it only with its cookie', async (t) => {
  const server = await setUp(t);
  const player = await open(server, server.client, 'tone.wav');
  assert.match(player.line, new RegExp(`; Max-Age=900; Path=/api/players/${player.id}; HttpOnly; SameSite=Strict$`));
  assert.equal(await (await get(player)).text(), '0123456789');
  const part = await get(player, { range: 'bytes=-3' });
  assert.deepEqual([part.status, part.headers.get('content-range'), await part.text()], [206, 'bytes 7-9/10', '789']);
  const head = await fetch(player.url, { method: 'HEAD', headers: { cookie: player.cookie } });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '10']);
  // The address is not secret, and a token does not replace the cookie.
  for (const headers of [{}, server.client.headers, { cookie: 'player=made-up' }, { cookie: 'player=' }])
    assert.equal((await fetch(player.url, { headers })).status, 404);
  const other = await open(server, server.client, 'tone.wav');
  assert.equal((await get({ url: player.url, cookie: other.cookie })).status, 404);
  const elsewhere = await fetch(`${server.origin}/api/files/player/tone.wav`, {
    method: 'POST',
    headers: { ...server.client.headers, origin: 'https://evil.example' },
  });
  assert.equal(elsewhere.status, 403);
});

test('a player is not a share link and requires the right to read the file', async (t) => {
  const server = await setUp(t);
  await open(server, server.client, 'tone.wav');
  const shares = await fetch(`${server.origin}/api/shares`, { headers: server.client.headers });
  assert.deepEqual(await shares.json(), { shares: [] });
  const ask = async (headers: Record<string, string>, path: string) =>
    (await fetch(`${server.origin}/api/files/player/${path}`, { method: 'POST', headers })).status;
  const stranger = await server.enrol();
  assert.equal(await ask({}, 'tone.wav'), 401);
  assert.equal(await ask(stranger.headers, 'tone.wav'), 404);
  assert.equal(await ask(stranger.headers, `tone.wav?owner=${server.client.id}`), 403);
  assert.equal(await ask(server.admin.headers, `tone.wav?owner=${server.client.id}`), 201);
  assert.equal(await ask(server.client.headers, 'none.wav'), 404);
  const audit = await fetch(`${server.origin}/api/audit?action=player_opened`, { headers: server.admin.headers });
  const { entries } = (await audit.json()) as {
    entries: { target: string; principal: string; detail: string | null }[];
  };
  assert.deepEqual(entries.map(({ target, principal }) => [target, principal]).reverse(), [
    ['tone.wav', server.client.id],
    ['tone.wav', server.admin.id],
  ]);
  assert.doesNotMatch(JSON.stringify(entries), /player=/);
});

test('a player ends on expiry, on request, with its file and with its session', async (t) => {
  const server = await setUp(t);
  const { origin, client } = server;
  const [one, two] = [await open(server, client, 'tone.wav'), await open(server, client, 'tone.wav')];
  const end = (id: string, headers: Record<string, string>) =>
    fetch(`${origin}/api/players/${id}`, { method: 'DELETE', headers });
  const stranger = await server.enrol();
  assert.equal((await end(one.id, stranger.headers)).status, 404);
  assert.equal((await end(one.id, client.headers)).status, 200);
  assert.equal((await end(one.id, client.headers)).status, 404);
  assert.equal((await get(one)).status, 404);
  server.pass(15 * 60_000 - 1000);
  assert.equal((await get(two)).status, 200);
  server.pass(1000);
  assert.equal((await get(two)).status, 404);

  const replaced = await open(server, client, 'tone.wav');
  await store(server, client, 'tone.wav', 'another content');
  assert.equal((await get(replaced)).status, 404, 'a new file of the same name is not played');

  const own = await open(server, client, 'tone.wav');
  assert.equal((await fetch(`${origin}/logout`, { headers: client.headers })).status, 200);
  assert.equal((await get(own)).status, 404, 'signed out');
});

test('the oldest player ends when a principal has too many', async (t) => {
  const server = await setUp(t);
  const all: Opened[] = [];
  for (let n = 0; n < 17; n += 1) all.push(await open(server, server.client, 'tone.wav'));
  const states = await Promise.all(all.map(async (player) => (await get(player)).status));
  assert.deepEqual(states, [404, ...Array.from({ length: 16 }, () => 200)]);
});
