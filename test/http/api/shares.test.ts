/** Share links over real sockets: creating, listing, using and revoking them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShareCreated } from '../../../src/protocol/schemas/share.ts';
import { ask, PASSWORD } from '../../support/product/people.ts';
import { startServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { alphabet, basic, listed, made, share, told, use, type Who } from './shares-setup.ts';

test('a link serves one file without a sign-in, with ranges and preconditions', async (t) => {
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

test('a link gives access to nothing else', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url, token } = await made(server);
  for (const wrong of [`${token}x`, token.slice(0, -1), `lsh_${'0'.repeat(16)}_${'a'.repeat(43)}`, 'x']) {
    await assertProblemReply(await use(`${server.origin}/s/${wrong}`), 'not_found');
  }
  const altered = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`;
  await assertProblemReply(await use(`${server.origin}/s/${altered}`), 'not_found');
  await assertProblemReply(await use(`${url}/a.txt`), 'not_found');
  // The token of a link is not a bearer token.
  await assertProblemReply(
    await ask(server.origin, '/api/files', { headers: { authorization: `Bearer ${token}` } }),
    'unauthorized',
  );
});

test('invalid requests and unshareable files are refused and leave no link', async (t) => {
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

test('links are listed without their tokens, and revoked only by owner and administrators', async (t) => {
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

test('a link with a password requires it by HTTP Basic and throttles guesses', async (t) => {
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
