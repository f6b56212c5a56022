/**
 * A day of programs that share files between two kinds of accounts: ops accounts send, client accounts list and download. They send forms,
 * read the token as plain text, and use one file name every night.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type HandClock, handClock } from '../support/product/clock.ts';
import { PASSWORD } from '../support/product/people.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { startNginx } from '../support/servers/nginx.ts';
import { hasNginx } from '../support/servers/plain-nginx.ts';
import { type Ask, connectTo, multipart, type OldReply, pause, pythonDay, urlencoded } from './old-client.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const DAY = 24 * 3600;
const OPEN = { LADING_REGISTRATION: 'open' };
const COMPAT = { ...OPEN, LADING_COMPAT: 'ops-client' };

type Kind = 'ops' | 'client';
type Form = typeof urlencoded;

/** A program for one kind of account, as it was written for the older server. */
class Program {
  readonly #ask: Ask;
  readonly #kind: Kind;
  readonly #username: string;
  token = '';

  constructor(ask: Ask, kind: Kind, username: string) {
    this.#ask = ask;
    this.#kind = kind;
    this.#username = username;
  }

  signUp(form: Form, more: Record<string, string> = {}): Promise<OldReply> {
    return this.#ask('POST', `/${this.#kind}/signup`, form({ username: this.#username, password: PASSWORD, ...more }));
  }

  async logIn(form: Form = urlencoded): Promise<Record<string, unknown>> {
    const reply = await this.#ask(
      'POST',
      `/${this.#kind}/login`,
      form({ username: this.#username, password: PASSWORD }),
    );
    assert.equal(reply.status, 200, reply.text);
    this.token = reply.text;
    const [, claims = ''] = reply.text.split('.');
    return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
  }

  ask(method: string, path: string, sent: Parameters<Ask>[2] = {}): Promise<OldReply> {
    const headers = { ...sent.headers, authorization: `Bearer ${this.token}` };
    return this.#ask(method, path, { ...sent, headers });
  }

  send(name: string, text: string): Promise<OldReply> {
    const file = { field: 'request_file', name, bytes: Buffer.from(text) };
    return this.ask('POST', '/ops/upload', multipart({}, file));
  }

  async names(of: string): Promise<string[]> {
    const reply = await this.ask('GET', `/client/files/${encodeURIComponent(of)}`);
    assert.equal(reply.status, 200, reply.text);
    return reply.json as unknown as string[];
  }

  async fetch(of: string, name: string): Promise<string> {
    const reply = await this.ask('GET', `/client/files/${encodeURIComponent(of)}/${encodeURIComponent(name)}`);
    assert.equal(reply.status, 200, reply.text);
    return reply.text;
  }
}

interface Stage {
  server: TestServer;
  clock: HandClock;
  ask: Ask;
  /** True if a new file replaces the previous file of the same name. */
  replaces: boolean;
}

async function refusals(ask: Ask): Promise<void> {
  assert.equal((await ask('GET', '/ops/signup')).status, 405);
  assert.equal((await ask('POST', '/ops/upload', multipart({}))).status, 401);
  for (const path of ['/ops/signup', '/ops/login', '/client/signup', '/client/login']) {
    assert.equal((await ask('POST', path, urlencoded({ username: 'anna' }))).status, 400, path);
    assert.equal((await ask('POST', path, multipart({ password: PASSWORD }))).status, 400, path);
  }
  const easy = await ask('POST', '/ops/signup', urlencoded({ username: 'anna', password: 'password' }));
  assert.equal(easy.status, 422);
}

async function liveADay({ server, clock, ask, replaces }: Stage): Promise<void> {
  await refusals(ask);
  const ops = new Program(ask, 'ops', 'anna smith');
  const client = new Program(ask, 'client', 'ben');
  const created = await ops.signUp(urlencoded, { name: 'Anna Maria Smith', email: 'anna@x.example' });
  assert.equal(created.status, 201, created.text);
  assert.equal(created.json.name, 'Anna Maria Smith');
  assert.equal((await client.signUp(multipart)).status, 201);
  const nobody = JSON.stringify({ username: 'cid', password: PASSWORD, name: null, email: null });
  for (const [path, status] of [
    ['/client/signup', 201],
    ['/client/login', 200],
  ] as const) {
    const sent = await ask('POST', path, { headers: { 'content-type': 'application/json' }, body: nobody });
    assert.equal(sent.status, status, sent.text);
  }
  const { username, account_kind, exp, iat } = await ops.logIn(multipart);
  assert.deepEqual([username, account_kind, Number(exp) - Number(iat)], ['anna smith', 'ops', 365 * DAY]);
  assert.equal((await client.logIn()).account_kind, 'client');

  const nights = ['Monday', 'Tuesday', 'Wednesday'];
  for (const [night, text] of nights.entries()) {
    const sent = await ops.send('nightly.log', text);
    assert.equal(sent.status, night === 0 || replaces ? 201 : 409, sent.text);
    assert.equal(await client.fetch('anna smith', 'nightly.log'), replaces ? text : 'Monday');
    await pause(server, clock, DAY);
  }
  for (const form of [multipart({}), urlencoded({ title: 'a log' }), {}])
    assert.equal((await ops.ask('POST', '/ops/upload', form)).status, 400, 'a form without its file');
  assert.equal((await ops.send('b.txt', 'b')).status, 201);
  assert.deepEqual(await client.names('anna smith'), ['b.txt', 'nightly.log']);
  const slashed = await client.ask('GET', '/client/files/anna%20smith/');
  assert.deepEqual(slashed.json, ['b.txt', 'nightly.log']);

  // Longer than the lifetime of other sessions.
  await pause(server, clock, 300 * DAY);
  assert.equal((await ops.send('late.txt', 'still here')).status, 201);
  assert.equal(await client.fetch('anna smith', 'late.txt'), 'still here');
  assert.equal((await ops.ask('GET', '/client/files/anna%20smith')).status, 403, 'the wrong kind of account');
  assert.equal((await ops.ask('GET', '/logout')).status, 200);
  assert.equal((await ops.send('later.txt', 'nobody')).status, 401);
  assert.equal((await client.ask('GET', '/client/files/nobody')).status, 404);
  await pause(server, clock, 70 * DAY);
  assert.equal((await client.ask('GET', '/client/files/anna%20smith')).status, 401, 'the token expired after a year');
  await client.logIn();
  assert.deepEqual(await client.names('anna smith'), ['b.txt', 'late.txt', 'nightly.log']);
}

async function begin(t: TestContext, settings: Record<string, string>): Promise<Omit<Stage, 'ask'>> {
  const clock = handClock(Date.now());
  const server = await startServer(t, settings, { clock });
  return { server, clock, replaces: 'LADING_COMPAT' in settings };
}

for (const [settings, what] of [
  [OPEN, 'by default'],
  [COMPAT, 'with LADING_COMPAT=ops-client'],
] as const) {
  test(`a day ${what}: ${'LADING_COMPAT' in settings ? 'a new file replaces the previous one' : 'a name in use is refused'}`, async (t) => {
    const stage = await begin(t, settings);
    await liveADay({ ...stage, ask: await connectTo(t, stage.server.origin) });
  });

  test(`a day through a proxy, ${what}`, { skip: !hasNginx && 'nginx is not installed' }, async (t) => {
    const stage = await begin(t, { ...settings, LADING_TRUST_PROXY: 'loopback' });
    const { origin, certificate } = await startNginx(t, stage.server.port);
    await liveADay({ ...stage, ask: await connectTo(t, origin, certificate) });
  });

  test(`a day by Python's requests, ${what}`, async (t) => {
    const { server, clock, replaces } = await begin(t, settings);
    await pythonDay(t, server, clock, 'ops_client_day.py', [PASSWORD, replaces ? 'replaces' : 'keeps']);
  });
}

test('3,000 files of an ops account are listed in one reply', async (t) => {
  const server = await startServer(t, { ...COMPAT, LADING_DURABILITY: 'seal' });
  const ask = await connectTo(t, server.origin);
  const [ops, client] = [new Program(ask, 'ops', 'anna'), new Program(ask, 'client', 'ben')];
  for (const program of [ops, client]) {
    assert.equal((await program.signUp(urlencoded)).status, 201);
    await program.logIn();
  }
  const names = Array.from({ length: 3000 }, (_, n) => `${String(n).padStart(4, '0')}.log`);
  const send = async (name: string): Promise<void> => {
    const body = new FormData();
    body.set('request_file', new Blob([name]), name);
    const headers = { authorization: `Bearer ${ops.token}` };
    const reply = await fetch(`${server.origin}/ops/upload`, { method: 'POST', headers, body });
    assert.equal(reply.status, 201, await reply.text());
  };
  // In parallel, which saves minutes.
  for (let n = 0; n < names.length; n += 25) await Promise.all(names.slice(n, n + 25).map(send));
  assert.deepEqual(await client.names('anna'), names);
});
