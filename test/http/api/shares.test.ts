/** Share links over real sockets: who makes, lists and revokes them, what they open, how a limit counts, and what ends them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { type IncomingMessage, get as request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import type { Share, ShareCreated, ShareList } from '../../../src/protocol/schemas/share.ts';
import { eventually } from '../../support/eventually.ts';
import { clockOf } from '../../support/product/clock.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { ask, PASSWORD } from '../../support/product/people.ts';
import { type Account, sign, signIn, startServer, type TestServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

type Who = Pick<Account, 'headers'>;

async function alphabet(server: TestServer, name = 'a.txt'): Promise<void> {
  await put(server, name, 0, ALPHABET, { total_size: '26' });
}

function share({ origin }: TestServer, { headers }: Who, name: string, body?: object, query = ''): Promise<Response> {
  const path = `/api/files/share/${encodeURIComponent(name)}${query}`;
  return ask(origin, path, { method: 'POST', headers: { ...headers }, ...(body ? { body } : {}) });
}

async function made(
  server: TestServer,
  body: object = {},
  name = 'a.txt',
  who: Who = server.client,
): Promise<ShareCreated> {
  const reply = await share(server, who, name, body);
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as ShareCreated;
}

async function listed({ origin }: TestServer, { headers }: Who, query = ''): Promise<Share[]> {
  const reply = await ask(origin, `/api/shares${query}`, { headers: { ...headers } });
  assert.equal(reply.status, 200);
  return ((await reply.json()) as ShareList).shares;
}

function use(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  return fetch(url, { method, headers });
}

/** What a request by a link says, its settlement included. */
async function told(url: string, range?: string): Promise<string> {
  const reply = await use(url, range === undefined ? {} : { range: `bytes=${range}` });
  return `${reply.status} ${reply.status < 400 ? await reply.text() : ((await reply.json()) as { code: string }).code}`;
}

const basic = (password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`:${password}`).toString('base64')}`,
});

test('a link opens one file to anybody, whole, by ranges and under preconditions', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url, token, ...rest } = await made(server);
  assert.equal(url, `${server.origin}/s/${token}`);
  assert.deepEqual(
    [rest.filename, rest.owner, rest.created_by, rest.password, rest.max_downloads, rest.downloads],
    ['a.txt', server.client.id, server.client.id, false, null, 0],
  );
  const week = Date.parse(rest.expires_at) - Date.parse(rest.created_at);
  assert.equal(week, 7 * 24 * 3600_000);
  const whole = await use(url);
  assert.deepEqual([whole.status, await whole.text()], [200, ALPHABET.toString()]);
  assert.match(whole.headers.get('content-disposition') ?? '', /attachment.*a\.txt/);
  assert.equal(whole.headers.get('referrer-policy'), 'no-referrer');
  assert.equal(await told(url, '0-2'), '206 abc');
  assert.equal(await told(url, '-2'), '206 yz');
  assert.equal(await told(url, '30-'), '416 range_not_satisfiable');
  const etag = whole.headers.get('etag') ?? '';
  assert.equal((await use(url, { 'if-none-match': etag })).status, 304);
  const head = await use(url, {}, 'HEAD');
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '26']);
  await assertProblemReply(await use(url, {}, 'POST'), 'method_not_allowed');
});

test('what a link does not open', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url, token } = await made(server);
  for (const wrong of [`${token}x`, token.slice(0, -1), `lsh_${'0'.repeat(16)}_${'a'.repeat(43)}`, 'x']) {
    await assertProblemReply(await use(`${server.origin}/s/${wrong}`), 'not_found');
  }
  const altered = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
  await assertProblemReply(await use(`${server.origin}/s/${altered}`), 'not_found');
  await assertProblemReply(await use(`${url}/a.txt`), 'not_found');
  // It is no token of another sort.
  await assertProblemReply(
    await ask(server.origin, '/api/files', { headers: { authorization: `Bearer ${token}` } }),
    'unauthorized',
  );
});

test('bad wishes and files that cannot be shared are refused, and leave no link', async (t) => {
  const server = await startServer(t);
  const { client, origin } = server;
  await alphabet(server);
  await put(server, 'partial', 0, ALPHABET, { total_size: '50' });
  const bad: object[] = [
    { expires_in: 0 },
    { expires_in: 366 * 24 * 3600 },
    { expires_in: 'soon' },
    { max_downloads: 0 },
    { max_downloads: 1.5 },
    { password: 'password' },
    { password: 5 },
  ];
  for (const body of bad) await assertProblemReply(await share(server, client, 'a.txt', body), 'validation_failed');
  await assertProblemReply(await share(server, client, 'none'), 'not_found');
  await assertProblemReply(await share(server, client, 'partial'), 'not_complete');
  await assertProblemReply(await share(server, client, 'a\nb'), 'invalid_name');
  await assertProblemReply(await ask(origin, '/api/files/share/a.txt', { method: 'POST' }), 'unauthorized');
  const other = await server.enrol();
  await assertProblemReply(await share(server, other, 'a.txt'), 'not_found');
  await assertProblemReply(await share(server, other, 'a.txt', {}, `?owner=${client.id}`), 'forbidden');
  assert.deepEqual(await listed(server, client), []);
});

test('links are listed without what opens them, and revoked by their owner and administrators alone', async (t) => {
  const server = await startServer(t);
  const { client, admin, origin } = server;
  await alphabet(server);
  await alphabet(server, 'b.txt');
  const one = await made(server);
  const two = await made(server, {}, 'b.txt');
  const reply = await share(server, admin, 'b.txt', {}, `?owner=${client.id}`);
  const third = (await reply.json()) as ShareCreated;
  assert.equal(reply.status, 201);
  const text = JSON.stringify(await listed(server, client));
  for (const { token } of [one, two, third]) assert.ok(!text.includes(token.slice(21)));
  assert.deepEqual(
    (await listed(server, client)).map(({ share_id }) => share_id),
    [one, two, third].map(({ share_id }) => share_id),
  );
  assert.equal((await listed(server, client, '?filename=b.txt')).length, 2);
  assert.equal((await listed(server, admin, `?owner=${client.id}`)).length, 3);
  const other = await server.enrol();
  const ops = await server.enrol('ops');
  assert.deepEqual(await listed(server, other), []);
  await assertProblemReply(
    await ask(origin, `/api/shares?owner=${client.id}`, { headers: other.headers }),
    'forbidden',
  );
  const revoke = (id: string, { headers }: Who): Promise<Response> =>
    ask(origin, `/api/shares/${id}`, { method: 'DELETE', headers: { ...headers } });
  for (const who of [other, ops]) await assertProblemReply(await revoke(one.share_id, who), 'not_found');
  assert.equal((await revoke(one.share_id, client)).status, 200);
  assert.equal((await revoke(two.share_id, admin)).status, 200);
  assert.equal((await revoke(third.share_id, client)).status, 200, 'a link to one’s own file, by any creator');
  for (const { url } of [one, two, third]) await assertProblemReply(await use(url), 'not_found');
  await assertProblemReply(await revoke(one.share_id, client), 'not_found');
});

test('a link with a password wants it, by HTTP Basic, and slows down who guesses', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url, share_id } = await made(server, { password: PASSWORD });
  const bare = await use(url);
  assert.equal(bare.headers.get('www-authenticate'), 'Basic realm="shared file", charset="UTF-8"');
  await assertProblemReply(bare, 'unauthorized');
  assert.equal((await use(url, {}, 'HEAD')).status, 401);
  await assertProblemReply(await use(url, { authorization: `Bearer ${PASSWORD}` }), 'unauthorized');
  await assertProblemReply(await use(`${url}?password=${encodeURIComponent(PASSWORD)}`), 'unauthorized');
  for (const range of ['0-2', '3-5', '6-8']) {
    const reply = await use(url, { ...basic(PASSWORD), range: `bytes=${range}` });
    assert.equal(reply.status, 206);
    assert.equal((await reply.arrayBuffer()).byteLength, 3);
  }
  let last = 0;
  for (let n = 0; n < 12 && last !== 429; n += 1) last = (await use(url, basic(`wrong guess ${n}`))).status;
  assert.equal(last, 429);
  const page = await (await ask(server.origin, '/api/audit', { headers: server.admin.headers })).text();
  assert.match(page, new RegExp(`"action":"share_used","outcome":"ok"[^}]*share ${share_id}`));
  const refusal = `"action":"refusal","outcome":"refused"[^}]*"target":"share ${share_id}","detail":"unauthorized: GET /s/:token"`;
  assert.match(page, new RegExp(refusal));
});

test('a link with a download left serves the whole file; probes, HEAD and refusals do not use it up', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url, share_id } = await made(server, { max_downloads: 1 });
  for (let n = 0; n < 3; n += 1) assert.equal((await use(url, {}, 'HEAD')).status, 200);
  assert.equal(await told(url, '90-'), '416 range_not_satisfiable');
  assert.equal((await use(url, { 'if-none-match': '*' })).status, 304);
  // A phone asks for two bytes first, a preview for the beginning, a player for the end.
  for (const [range, bytes] of [
    ['0-1', 'ab'],
    ['0-9', 'abcdefghij'],
    ['-3', 'xyz'],
  ] as const) {
    assert.equal(await told(url, range), `206 ${bytes}`);
  }
  const [before] = await listed(server, server.client);
  assert.deepEqual([before?.share_id, before?.downloads], [share_id, 0]);
  assert.equal(await told(url), `200 ${ALPHABET}`);
  await eventually(
    async () => (await listed(server, server.client))[0]?.downloads === 1,
    'the download that is counted',
  );
  for (const range of [undefined, '0-0', '25-', '0-']) assert.equal(await told(url, range), '404 not_found');
  assert.equal((await use(url, {}, 'HEAD')).status, 404);
});

test('ranges that make the whole file, resumed or at one time, are one download', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  for (const ranges of [['0-9', '10-19', '20-'], ['0-'], ['20-', '0-12', '10-20']]) {
    const { url } = await made(server, { max_downloads: 1 });
    await Promise.all(ranges.map(async (range) => assert.match(await told(url, range), /^206 /)));
    await eventually(async () => (await use(url, {}, 'HEAD')).status === 404, `the end of the link by ${ranges}`);
    assert.equal(await told(url, '0-1'), '404 not_found');
  }
});

test('what a browser fetches ahead takes no download', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url } = await made(server, { max_downloads: 1 });
  for (const headers of [
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { purpose: 'prefetch' },
    { 'x-moz': 'prefetch' },
  ] as Record<string, string>[]) {
    for (let n = 0; n < 3; n += 1) await assertProblemReply(await use(url, headers), 'overloaded');
    assert.equal((await use(url, headers, 'HEAD')).status, 200);
  }
  assert.equal(await told(url), `200 ${ALPHABET}`);
  assert.equal(await told(url), '404 not_found');
  const any = await made(server);
  assert.equal((await use(any.url, { 'sec-purpose': 'prefetch' })).status, 200);
});

test('who fetches parts for ever gets an end of it, and the file with the last of them', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url } = await made(server, { max_downloads: 1 });
  const answers: string[] = [];
  while (answers.length < 100 && answers.at(-1) !== '404 not_found') answers.push(await told(url, '0-24'));
  assert.equal(answers.filter((answer) => answer === `200 ${ALPHABET}`).length, 1, 'a Range may be ignored');
  assert.ok(answers.length < 60, String(answers.length));
});

test('many at one time get no more than there is', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url } = await made(server, { max_downloads: 3 });
  const all = await Promise.all(Array.from({ length: 12 }, () => told(url)));
  assert.equal(all.filter((one) => one === `200 ${ALPHABET}`).length, 3);
  assert.equal(all.filter((one) => one === '404 not_found').length, 9);
});

test('an empty file is downloaded as often as the limit says', async (t) => {
  const server = await startServer(t);
  await put(server, 'empty', 0, Buffer.alloc(0), { total_size: '0' });
  const { url } = await made(server, { max_downloads: 2 }, 'empty');
  assert.equal(await told(url), '200 ');
  assert.equal(await told(url), '200 ');
  assert.equal(await told(url), '404 not_found');
});

/** Reads a little of an answer and leaves. */
async function breakOff(url: string): Promise<void> {
  const asked = request(url);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  await once(answer, 'data');
  asked.destroy();
}

test('a download that broke off can be begun anew', async (t) => {
  const server = await startServer(t);
  const size = 8 * 1024 * 1024;
  await put(server, 'large', 0, randomBytes(size), { total_size: String(size) });
  const { url } = await made(server, { max_downloads: 1 }, 'large');
  await breakOff(url);
  // Until the server has noticed, nothing is left.
  const got = async (): Promise<number> => (await (await use(url)).arrayBuffer()).byteLength;
  await eventually(async () => (await got()) === size, 'the download after one that broke off');
  assert.equal(await told(url), '404 not_found');
});

test('a revoked link cuts the download by it', async (t) => {
  const server = await startServer(t);
  const size = 64 * 1024 * 1024;
  await put(server, 'large', 0, Buffer.alloc(size, 7), { total_size: String(size) });
  const { url, share_id } = await made(server, {}, 'large');
  const [answer] = (await once(request(url), 'response')) as [IncomingMessage];
  const { origin, client } = server;
  assert.equal(
    (await ask(origin, `/api/shares/${share_id}`, { method: 'DELETE', headers: client.headers })).status,
    200,
  );
  const cut = once(answer, 'error');
  let got = 0;
  answer.on('data', (piece: Buffer) => {
    got += piece.length;
  });
  await cut;
  assert.ok(got < size);
});

test('a link ends when its file is deleted or replaced, and does not come back', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  await alphabet(server);
  await alphabet(server, 'b.txt');
  const one = await made(server);
  const two = await made(server, {}, 'b.txt');
  assert.equal((await ask(origin, '/api/files/a.txt', { method: 'DELETE', headers: client.headers })).status, 200);
  await alphabet(server);
  await put(server, 'b.txt', 0, Buffer.from('other'), { total_size: '5', overwrite: 'true' });
  for (const { url } of [one, two]) await assertProblemReply(await use(url), 'not_found');
  const documents = (): Promise<string[]> => readdir(join(server.dataDir, 'v1/shares'));
  await eventually(async () => (await documents()).length === 0, 'the end of the links');
});

test('a link ends when it lapses, and is swept', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: clockOf(() => now) });
  await alphabet(server);
  const { url } = await made(server, { expires_in: 60 });
  now += 59_000;
  assert.equal(await told(url, '0-0'), '206 a');
  now += 1_000;
  await assertProblemReply(await use(url), 'not_found');
  assert.deepEqual(await listed(server, server.client), []);
});

test('a link ends with the right of who made it', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    for (const role of ['admin', 'ops'] as const) {
      await identity.clients.create({ id: role, secret: `the-secret-of-${role}`, role, name: null });
    }
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { app, origin, client, admin } = server;
  await alphabet(server);
  const query = `?owner=${client.id}`;
  const links: ShareCreated[] = [];
  for (const role of ['admin', 'ops'] as const) {
    const reply = await share(server, sign(app, role, role), 'a.txt', {}, query);
    assert.equal(reply.status, 201);
    links.push((await reply.json()) as ShareCreated);
  }
  const [byAdmin, byOps] = links;
  for (const { url } of links) assert.equal(await told(url, '0-0'), '206 a');
  const gone = await ask(origin, '/api/clients/admin', { method: 'DELETE', headers: admin.headers });
  assert.equal(gone.status, 200);
  assert.equal(await told(byAdmin?.url ?? ''), '404 not_found');
  assert.equal(await told(byOps?.url ?? '', '0-0'), '206 a');
  const own = await made(server);
  assert.equal(
    (await ask(origin, `/api/clients/${client.id}`, { method: 'DELETE', headers: admin.headers })).status,
    200,
  );
  for (const url of [byOps?.url ?? '', own.url]) assert.equal(await told(url), '404 not_found');
});

test('a person who is no administrator any more shares nothing of others', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin, app } = server;
  await alphabet(server);
  const body = { name: 'Ada', surname: 'Byron', email: 'ada@x.example', password: PASSWORD, role: 'ops' };
  const { id } = (await (await ask(origin, '/v1/user', { headers: admin.headers, body })).json()) as { id: string };
  const reply = await share(server, sign(app, id, 'ops', 'person'), 'a.txt', {}, `?owner=${client.id}`);
  const { url } = (await reply.json()) as ShareCreated;
  assert.equal(await told(url, '0-0'), '206 a');
  const change = { method: 'PUT', headers: admin.headers, body: { role: 'client' } };
  assert.equal((await ask(origin, `/v1/user/update_user?pk=${id}`, change)).status, 200);
  assert.equal(await told(url), '404 not_found');
});

test('what an API token or a sign-in for less shared ends with it', async (t) => {
  const server = await startServer(t);
  const { origin, client, app } = server;
  await alphabet(server);
  const body = { scopes: ['read'] };
  const token = (await (await ask(origin, '/api/tokens', { headers: client.headers, body })).json()) as Record<
    'token' | 'token_id',
    string
  >;
  const byToken = await made(server, {}, 'a.txt', { headers: { authorization: `Bearer ${token.token}` } });
  const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' });
  const headers = { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}` };
  const granted = await fetch(`${origin}/api/oauth/token`, { method: 'POST', headers, body: form });
  const less = { authorization: `Bearer ${((await granted.json()) as { access_token: string }).access_token}` };
  const bySignIn = await made(server, {}, 'a.txt', { headers: less });
  for (const { url } of [byToken, bySignIn]) assert.equal(await told(url, '0-0'), '206 a');
  assert.equal(
    (await ask(origin, `/api/tokens/${token.token_id}`, { method: 'DELETE', headers: client.headers })).status,
    200,
  );
  assert.equal((await ask(origin, '/logout', { headers: less })).status, 200);
  for (const { url } of [byToken, bySignIn]) assert.equal(await told(url), '404 not_found');
  const nameless = sign(app, client.id, 'client', 'device', 'files:read');
  await assertProblemReply(await share(server, nameless, 'a.txt'), 'insufficient_scope');
  const writes = sign(app, client.id, 'client', 'device', 'files:write');
  await assertProblemReply(await share(server, writes, 'a.txt'), 'insufficient_scope');
  // One's own whole sign-in may end without taking links along.
  const { access_token } = await signIn(origin, client.id, client.secret);
  const whole = { authorization: `Bearer ${access_token}` };
  const lasting = await made(server, {}, 'a.txt', { headers: whole });
  assert.equal((await ask(origin, '/logout', { headers: whole })).status, 200);
  assert.equal(await told(lasting.url, '0-0'), '206 a');
});

test('a restart keeps links, passwords and counts', async (t) => {
  const { dataDir } = await seededFolder(t, async () => {});
  const before = await startServer(t, {}, {}, dataDir);
  await alphabet(before);
  const limited = await made(before, { max_downloads: 1, password: PASSWORD });
  const revoked = await made(before);
  const path = `/api/shares/${revoked.share_id}`;
  assert.equal((await ask(before.origin, path, { method: 'DELETE', headers: before.client.headers })).status, 200);
  const first = await use(limited.url, { ...basic(PASSWORD), range: 'bytes=0-19' });
  assert.equal(await first.text(), 'abcdefghijklmnopqrst');
  await before.close();

  const { origin } = await startServer(t, {}, {}, dataDir);
  const url = `${origin}/s/${limited.token}`;
  assert.equal((await use(url)).status, 401);
  const rest = await use(url, { ...basic(PASSWORD), range: 'bytes=20-' });
  assert.equal(await rest.text(), 'uvwxyz');
  await assertProblemReply(await use(url, basic(PASSWORD)), 'not_found');
  await assertProblemReply(await use(`${origin}/s/${revoked.token}`), 'not_found');
});

test('neither the data directory nor the log holds what opens a link', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const { dataDir } = await seededFolder(t, async () => {});
  const server = await startServer(t, {}, { log }, dataDir);
  await alphabet(server);
  const { url, token } = await made(server, { password: PASSWORD, max_downloads: 5 });
  assert.equal((await use(url, basic(PASSWORD))).status, 200);
  await use(url, basic('another password of nobody'));
  const { origin } = server;
  const odd = [
    `${origin}/S/${token}`,
    `${origin}//s/${token}`,
    `${origin}/%73/${token}`,
    `${url}/x`,
    `${origin}/api/files/${token}`,
  ];
  for (const one of odd) await (await fetch(one)).arrayBuffer();
  await (await use(url, {}, 'DELETE')).arrayBuffer();
  await (await use(`${origin}/s/${token.replace('_', '%5F')}`)).arrayBuffer();
  await server.close();
  const secret = token.slice(-43);
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
  let files = 0;
  for (const entry of entries.filter((one) => one.isFile())) {
    files += 1;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    for (const form of [secret, PASSWORD]) assert.ok(!bytes.includes(form), `${entry.name} holds ${form}`);
  }
  assert.ok(files > 5);
  const text = lines.join('');
  assert.ok(text.includes('/s/…'));
  for (const form of [secret, PASSWORD]) assert.ok(!text.includes(form));
});
