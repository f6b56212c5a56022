import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { parseHttpDate } from '../../../src/protocol/http/conditionals.ts';
import { eventually } from '../../support/eventually.ts';
import { content } from '../../support/product/device.ts';
import { startServer } from '../../support/product/server.ts';
import { ALPHABET, downloadGauges, get, put, summaryOf } from '../../support/wire/downloads.ts';
import { assertProblem, exchange, type WireResponse } from '../../support/wire/wire.ts';

const LETTERS = ALPHABET.toString();
const NAME = 'letters.txt';
const MIB = 1024 ** 2;

function digest(algorithm: 'sha256' | 'sha512', bytes: Uint8Array): string {
  return `${algorithm.replace('sha', 'sha-')}=:${createHash(algorithm).update(bytes).digest('base64')}:`;
}

test('R19 missing authorization and a missing file are reported before preconditions', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  const { port, client, enrol } = server;
  const ask = (path: string, ...lines: string[]): Promise<WireResponse> =>
    exchange(
      port,
      `GET /api/files/download/${path} HTTP/1.1`,
      'Host: a',
      'If-Match: "x"',
      'Range: bytes=99-',
      ...lines,
    );
  const authorization = `Authorization: ${client.headers.authorization}`;
  assertProblem(await ask(NAME), 'unauthorized');
  assertProblem(await ask('nothing', authorization), 'not_found');
  assertProblem(await ask('..%2Fletters.txt', authorization), 'invalid_name');
  const stranger = await enrol();
  assertProblem(await ask(NAME, `Authorization: ${stranger.headers.authorization}`), 'not_found');
  assertProblem(
    await ask(`${NAME}?owner=${client.id}`, `Authorization: ${stranger.headers.authorization}`),
    'forbidden',
  );
  assertProblem(await ask(NAME, authorization), 'precondition_failed');
});

test('an administrator reads anyone’s files', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  const { admin, client } = server;
  const got = await get(server, NAME, { ...admin.headers, range: 'bytes=0-2' }, { query: `?owner=${client.id}` });
  assert.equal(summaryOf(got), '206 bytes 0-2/26 abc');
  assert.equal((await get(server, NAME, admin.headers)).status, 404);
});

test('R19 R20 R21 preconditions are evaluated in their order', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  const { headers } = await get(server, NAME);
  const etag = headers.get('etag') ?? '';
  const modified = headers.get('last-modified') ?? '';
  const time = parseHttpDate(modified) ?? 0;
  const earlier = new Date(time - 1000).toUTCString();
  const later = new Date(time + 1000).toUTCString();
  const cases: [Record<string, string>, number][] = [
    [{ 'if-match': etag }, 200],
    [{ 'if-match': `"x", ${etag}` }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': '"x"' }, 412],
    [{ 'if-match': `W/${etag}` }, 412],
    [{ 'if-match': etag, 'if-unmodified-since': earlier }, 200],
    [{ 'if-unmodified-since': modified }, 200],
    [{ 'if-unmodified-since': later }, 200],
    [{ 'if-unmodified-since': earlier }, 412],
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `W/${etag}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"x"' }, 200],
    [{ 'if-none-match': '"x"', 'if-modified-since': later }, 200],
    [{ 'if-modified-since': modified }, 304],
    [{ 'if-modified-since': later }, 304],
    [{ 'if-modified-since': earlier }, 200],
    [{ 'if-match': '"x"', 'if-none-match': etag }, 412],
    [{ 'if-match': etag, 'if-none-match': etag }, 304],
  ];
  for (const [fields, status] of cases) {
    for (const method of ['GET', 'HEAD']) {
      const got = await get(server, NAME, fields, { method });
      assert.equal(got.status, status, `${method} ${JSON.stringify(fields)}`);
      if (status === 200 && method === 'GET') assert.equal(got.body.toString(), LETTERS);
    }
  }
});

test('R22 a 304 has no body and has the fields that caches need', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  const whole = await get(server, NAME);
  const got = await get(server, NAME, { 'if-none-match': '*' });
  assert.equal(summaryOf(got), '304 ');
  for (const name of ['etag', 'cache-control', 'vary', 'expires', 'content-location', 'last-modified']) {
    assert.equal(got.headers.get(name), whole.headers.get(name), name);
  }
  assert.ok(got.headers.get('date'));
  assert.equal(got.headers.get('content-type'), null);
});

test('R23 invalid dates are ignored, and all three date formats are read', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  for (const value of ['yesterday', '2026-11-22T00:00:00Z', 'Sun, 31 Feb 2100 00:00:00 GMT']) {
    assert.equal((await get(server, NAME, { 'if-modified-since': value })).status, 200, value);
    assert.equal((await get(server, NAME, { 'if-unmodified-since': value })).status, 200, value);
  }
  for (const value of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal((await get(server, NAME, { 'if-unmodified-since': value })).status, 412, value);
  }
});

test('R24 a precondition that fails takes precedence over Range', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  for (const range of ['bytes=0-4', 'bytes=100-']) {
    assert.equal((await get(server, NAME, { range, 'if-none-match': '*' })).status, 304);
    assert.equal((await get(server, NAME, { range, 'if-match': '"x"' })).status, 412);
  }
});

test('R25 if a file is replaced between two ranges, its tag changes and If-Range returns the new file whole', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  const first = await get(server, NAME, { range: 'bytes=0-4' });
  const etag = first.headers.get('etag') ?? '';
  await put(server, NAME, 0, Buffer.from(LETTERS.toUpperCase()), { total_size: '26', overwrite: 'true' });
  const second = await get(server, NAME, { range: 'bytes=5-', 'if-range': etag });
  assert.equal(summaryOf(second), `200 ${LETTERS.toUpperCase()}`);
  assert.notEqual(second.headers.get('etag'), etag);
  assert.equal((await get(server, NAME, { range: 'bytes=5-', 'if-match': etag })).status, 412);
});

test('R25 a file that is replaced several times within a second never has a date later than the answer', async (t) => {
  const server = await startServer(t);
  for (let version = 0; version < 4; version += 1) {
    await put(server, NAME, 0, content(0, 26, version), { total_size: '26', overwrite: 'true' });
    const { headers } = await get(server, NAME);
    const [date, modified] = [headers.get('date'), headers.get('last-modified')];
    assert.ok(date && Date.parse(modified ?? date) <= Date.parse(date), `${modified} > ${date}`);
  }
});

test('R25 a running download sends the old file to its end when the file is replaced or deleted', async (t) => {
  const server = await startServer(t);
  const { port, client, origin } = server;
  const old = content(0, 24 * MIB);
  const size = String(old.length);
  await put(server, 'large', 0, old, { total_size: size });
  for (const change of ['replace', 'delete']) {
    const socket = connect({ port, host: '127.0.0.1' });
    t.after(() => socket.destroy());
    const lines = ['GET /api/files/download/large HTTP/1.1', 'Host: a', 'Connection: close'];
    socket.write(`${lines.join('\r\n')}\r\nAuthorization: ${client.headers.authorization}\r\n\r\n`);
    await once(socket, 'readable');
    const before = change === 'replace' ? old : content(0, old.length, 1);
    if (change === 'replace')
      await put(server, 'large', 0, content(0, old.length, 1), { total_size: size, overwrite: 'true' });
    else await fetch(`${origin}/api/files/large`, { method: 'DELETE', headers: client.headers });
    const pieces: Buffer[] = [];
    for await (const piece of socket) pieces.push(piece as Buffer);
    const all = Buffer.concat(pieces);
    assert.ok(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(before), change);
  }
  assert.equal((await get(server, 'large')).status, 404);
});

test('D2 Repr-Digest covers the whole file, and Content-Digest the content that is sent', async (t) => {
  const server = await startServer(t);
  const declared = digest('sha256', ALPHABET);
  await put(server, 'declared', 0, ALPHABET, { total_size: '26' }, { 'repr-digest': declared });
  for (const [headers, method] of [
    [{}, 'GET'],
    [{ range: 'bytes=0-4' }, 'GET'],
    [{}, 'HEAD'],
  ] as const) {
    const got = await get(server, 'declared', headers, { method });
    assert.equal(got.headers.get('repr-digest'), declared);
    assert.equal(got.headers.get('content-digest'), null);
  }
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  assert.equal((await get(server, NAME)).headers.get('repr-digest'), null);
  const wanted = { 'want-content-digest': 'sha-512=3, sha-256=10', 'want-repr-digest': 'sha-512=1' };
  const part = await get(server, NAME, { ...wanted, range: 'bytes=3-7' });
  assert.equal(part.headers.get('content-digest'), digest('sha256', ALPHABET.subarray(3, 8)));
  assert.equal(part.headers.get('repr-digest'), digest('sha512', ALPHABET));
  const whole = await get(server, NAME, wanted);
  assert.equal(whole.headers.get('content-digest'), digest('sha256', ALPHABET));
});

test('D3 an unacceptable digest is not sent, and a malformed request for one is not an error', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' }, { 'repr-digest': digest('sha256', ALPHABET) });
  for (const wish of ['sha-256=0', 'md5=5', '=', 'sha-256=11']) {
    const got = await get(server, NAME, { 'want-repr-digest': wish, 'want-content-digest': wish });
    assert.equal(summaryOf(got), `200 ${LETTERS}`, wish);
    assert.equal(got.headers.get('repr-digest'), null, wish);
    assert.equal(got.headers.get('content-digest'), null, wish);
  }
});

test('D3 digests are not computed for large files', async (t) => {
  const server = await startServer(t);
  const bytes = content(0, 2 * MIB);
  await put(server, 'large', 0, bytes, { total_size: String(bytes.length) });
  const wish = { 'want-repr-digest': 'sha-256=1', 'want-content-digest': 'sha-256=1' };
  const whole = await get(server, 'large', wish);
  assert.equal(whole.headers.get('content-digest') ?? whole.headers.get('repr-digest'), null);
  const part = await get(server, 'large', { ...wish, range: `bytes=0-${MIB - 1}` });
  assert.equal(part.headers.get('content-digest'), digest('sha256', bytes.subarray(0, MIB)));
});

test('C1 C2 C3 any name is sent in Content-Disposition', async (t) => {
  const server = await startServer(t);
  const cases: [string, string][] = [
    ['plain.bin', 'attachment; filename="plain.bin"'],
    [
      'a/b/“счёт” 5%25.pdf',
      `attachment; filename="___ 5_25.pdf"; filename*=UTF-8''%E2%80%9C%D1%81%D1%87%D1%91%D1%82%E2%80%9D%205%2525.pdf`,
    ],
    ['quo"tes.txt', 'attachment; filename="quo\\"tes.txt"'],
    ['C:\\dir\\notes.txt', 'attachment; filename="notes.txt"'],
  ];
  for (const [name, expected] of cases) {
    await put(server, name, 0, ALPHABET, { total_size: '26' });
    const got = (await get(server, name)).headers.get('content-disposition') ?? '';
    if (name.startsWith('a/'))
      assert.match(got, /^attachment; filename="[ -~]+"; filename\*=UTF-8''[A-Za-z0-9!#$&+\-.^_`|~%]+$/);
    else assert.equal(got, expected);
    const exact = /filename\*=UTF-8''(.*)$/.exec(got)?.[1];
    if (exact !== undefined) assert.equal(decodeURIComponent(exact), '“счёт” 5%25.pdf');
  }
});

test('C4 an uploaded file never acts as a page of this server', async (t) => {
  const server = await startServer(t);
  await put(server, 'page.html', 0, Buffer.from('<script>alert(1)</script>'), { total_size: '25' });
  for (const range of ['bytes=0-', 'bytes=0-1,3-4', 'none']) {
    const { headers } = await get(server, 'page.html', { range });
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('content-security-policy'), "sandbox; default-src 'none'");
    assert.match(headers.get('content-disposition') ?? '', /^attachment;/);
  }
});

test('the media type is the declared one, or depends on the name', async (t) => {
  const server = await startServer(t);
  await put(server, 'photo.png', 0, ALPHABET, { total_size: '26' });
  await put(server, 'data', 0, ALPHABET, { total_size: '26' });
  await put(server, 'odd.png', 0, ALPHABET, { total_size: '26', content_type: 'application/x-odd; v=1' });
  const typeOf = async (name: string): Promise<string | null> => (await get(server, name)).headers.get('content-type');
  assert.equal(await typeOf('photo.png'), 'image/png');
  assert.equal(await typeOf('data'), 'application/octet-stream');
  assert.equal(await typeOf('odd.png'), 'application/x-odd; v=1');
});

test('a client that leaves frees the memory of its download', async (t) => {
  const server = await startServer(t);
  const bytes = content(0, 32 * MIB);
  await put(server, 'large', 0, bytes, { total_size: String(bytes.length) });
  const socket = connect({ port: server.port, host: '127.0.0.1' });
  socket.write(
    `GET /api/files/download/large HTTP/1.1\r\nHost: a\r\nAuthorization: ${server.client.headers.authorization}\r\n\r\n`,
  );
  await eventually(async () => (await downloadGauges(server)).held > 0, 'a download under way');
  socket.destroy();
  await eventually(async () => {
    const { active, held } = await downloadGauges(server);
    return active === 0 && held === 0;
  }, 'its end');
});
