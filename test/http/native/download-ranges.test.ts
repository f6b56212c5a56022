import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHttpDate } from '../../../src/protocol/http/conditionals.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { ALPHABET, get, partsOf, put, summaryOf } from '../../support/wire/downloads.ts';
import { assertProblem, exchange } from '../../support/wire/wire.ts';

const LETTERS = ALPHABET.toString();
const NAME = 'letters.txt';

async function startWithAlphabet(t: Parameters<typeof startServer>[0]): Promise<TestServer> {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  return server;
}

/** Range → expected answer. */
async function check(server: TestServer, cases: [string, string][], name = NAME): Promise<void> {
  for (const [range, expected] of cases) {
    const got = await get(server, name, { range });
    if (got.status < 400) assert.equal(got.headers.get('content-length'), String(got.body.length));
    else got.body = Buffer.alloc(0);
    assert.equal(summaryOf(got), expected, range);
  }
}

test('R1 GET and HEAD: Accept-Ranges, ETag, Last-Modified, Content-Length', async (t) => {
  const server = await startWithAlphabet(t);
  const whole = await get(server, NAME);
  assert.equal(summaryOf(whole), `200 ${LETTERS}`);
  assert.equal(whole.headers.get('accept-ranges'), 'bytes');
  assert.match(whole.headers.get('etag') ?? '', /^"[0-9a-f]{32}-26-4c2750bd"$/);
  assert.ok(parseHttpDate(whole.headers.get('last-modified') ?? ''));
  assert.equal(whole.headers.get('content-length'), '26');
  const head = await get(server, NAME, {}, { method: 'HEAD' });
  assert.equal(summaryOf(head), '200 ');
  for (const [name, value] of whole.headers) {
    if (!['x-request-id', 'date', 'connection', 'keep-alive'].includes(name)) {
      assert.equal(head.headers.get(name), value, name);
    }
  }
});

test('R2 R3 R4 one range', async (t) => {
  const server = await startWithAlphabet(t);
  await check(server, [
    ['bytes=0-0', '206 bytes 0-0/26 a'],
    ['bytes=5-15', '206 bytes 5-15/26 fghijklmnop'],
    ['bytes=20-', '206 bytes 20-25/26 uvwxyz'],
    ['bytes=0-25', `206 bytes 0-25/26 ${LETTERS}`],
    ['bytes=24-1000', '206 bytes 24-25/26 yz'],
    ['bytes=-3', '206 bytes 23-25/26 xyz'],
    ['bytes=-26', `206 bytes 0-25/26 ${LETTERS}`],
    ['bytes=-1000', `206 bytes 0-25/26 ${LETTERS}`],
  ]);
});

test('R5 R6 an unsatisfiable range is 416 with the size', async (t) => {
  const server = await startWithAlphabet(t);
  await put(server, 'empty', 0, Buffer.alloc(0), { total_size: '0' });
  await check(server, [
    ['bytes=26-', '416 bytes */26 '],
    ['bytes=26-30', '416 bytes */26 '],
    ['bytes=-0', '416 bytes */26 '],
    ['bytes=100-,-0', '416 bytes */26 '],
  ]);
  await check(
    server,
    [
      ['bytes=0-', '416 bytes */0 '],
      ['bytes=0-0', '416 bytes */0 '],
      ['bytes=-0', '416 bytes */0 '],
      // Satisfiable with any size (RFC 9110 §14.1.2).
      ['bytes=-5', '200 '],
    ],
    'empty',
  );
  assert.equal(summaryOf(await get(server, 'empty')), '200 ');
  const { port, client } = server;
  const refused = await exchange(
    port,
    `GET /api/files/download/${NAME} HTTP/1.1`,
    'Host: a',
    `Authorization: ${client.headers.authorization}`,
    'Range: bytes=26-',
  );
  assert.equal(assertProblem(refused, 'range_not_satisfiable').total_bytes, 26);
});

test('R7 R9 satisfiable ranges are sent, and a single one is not sent as multipart', async (t) => {
  const server = await startWithAlphabet(t);
  await check(server, [
    ['bytes=100-200,3-4', '206 bytes 3-4/26 de'],
    ['bytes=3-4,', '206 bytes 3-4/26 de'],
    ['bytes=-0,25-', '206 bytes 25-25/26 z'],
  ]);
});

test('R8 several ranges are sent as parts with Content-Type and Content-Range', async (t) => {
  const server = await startWithAlphabet(t);
  const got = await get(server, NAME, { range: 'bytes=10-14, 0-4, -2' });
  assert.equal(got.status, 206);
  assert.equal(got.headers.get('content-range'), null);
  const type = 'text/plain';
  assert.deepEqual(partsOf(got), [
    { type, range: 'bytes 10-14/26', body: 'klmno' },
    { type, range: 'bytes 0-4/26', body: 'abcde' },
    { type, range: 'bytes 24-25/26', body: 'yz' },
  ]);
  const other = await get(server, NAME, { range: 'bytes=0-1,3-4' });
  assert.notEqual(other.headers.get('content-type'), got.headers.get('content-type'), 'the boundary is never the same');
});

test('R8 parts larger than any buffer', async (t) => {
  const server = await startServer(t);
  const file = Buffer.alloc(5_000_000);
  for (let at = 0; at < file.length; at += 4) file.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, at);
  await put(server, 'large', 0, file, { total_size: String(file.length) });
  const got = await get(server, 'large', { range: 'bytes=0-2999999,4000000-4999998,1-5' });
  const type = 'application/octet-stream';
  const part = (start: number, end: number): object => ({
    type,
    range: `bytes ${start}-${end}/5000000`,
    body: file.toString('latin1', start, end + 1),
  });
  assert.deepEqual(partsOf(got), [part(0, 2_999_999), part(4_000_000, 4_999_998), part(1, 5)]);
  assert.deepEqual((await get(server, 'large')).body, file);
});

test('R10 many ranges are merged or replaced by the whole file, and the body never exceeds twice its size', async (t) => {
  const server = await startWithAlphabet(t);
  await check(server, [
    ['bytes=0-5,3-9,5-12', '206 bytes 0-12/26 abcdefghijklm'],
    [`bytes=${'0-,'.repeat(4000)}`, `206 bytes 0-25/26 ${LETTERS}`],
    [
      `bytes=${Array.from({ length: 2000 }, (_, i) => `${i % 26}-${i % 26}`).join(',')}`,
      `206 bytes 0-25/26 ${LETTERS}`,
    ],
  ]);
  const wide = Buffer.alloc(900_000, 'x');
  await put(server, 'wide', 0, wide, { total_size: '900000' });
  const scattered = Array.from({ length: 2000 }, (_, i) => `${i * 450}-${i * 450}`).join(',');
  const got = await get(server, 'wide', { range: `bytes=${scattered}` });
  assert.equal(got.status, 200);
  assert.equal(got.body.length, 900_000);
});

test('R11 R12 a malformed Range and one with another unit are ignored', async (t) => {
  const server = await startWithAlphabet(t);
  for (const range of ['bytes=5-4', 'bytes=a-b', 'bytes=', 'bytes', 'bytes=1-2;3-4', 'bytes=--1', 'items=0-4', '0-4']) {
    assert.equal(summaryOf(await get(server, NAME, { range })), `200 ${LETTERS}`, range);
  }
});

test('R13 Range is ignored for HEAD and other methods', async (t) => {
  const server = await startWithAlphabet(t);
  for (const range of ['bytes=0-4', 'bytes=100-', 'bytes=0-1,3-4']) {
    const head = await get(server, NAME, { range }, { method: 'HEAD' });
    assert.equal(summaryOf(head), '200 ');
    assert.equal(head.headers.get('content-length'), '26');
    assert.equal(head.headers.get('content-type'), 'text/plain');
  }
  await put(server, 'other', 0, ALPHABET, { total_size: '26' }, { range: 'bytes=0-4' });
  assert.equal(summaryOf(await get(server, 'other')), `200 ${LETTERS}`);
});

test('R14 a 206 has the representation fields of a 200', async (t) => {
  const server = await startWithAlphabet(t);
  const whole = await get(server, NAME);
  for (const range of ['bytes=0-4', 'bytes=0-4,10-14']) {
    const part = await get(server, NAME, { range });
    assert.equal(part.status, 206);
    assert.ok(part.headers.get('date'));
    for (const name of [
      'etag',
      'last-modified',
      'cache-control',
      'accept-ranges',
      'content-disposition',
      'vary',
      'expires',
    ]) {
      assert.equal(part.headers.get(name), whole.headers.get(name), name);
    }
  }
  assert.equal(whole.headers.get('cache-control'), 'private, no-cache');
});

test('R15 R16 If-Range with an entity tag', async (t) => {
  const server = await startWithAlphabet(t);
  const etag = (await get(server, NAME, {}, { method: 'HEAD' })).headers.get('etag') ?? '';
  const asked = async (ifRange: string): Promise<string> =>
    summaryOf(await get(server, NAME, { range: 'bytes=0-4', 'if-range': ifRange }));
  assert.equal(await asked(etag), '206 bytes 0-4/26 abcde');
  for (const other of [`W/${etag}`, '"other"', etag.slice(1, -1), `${etag}, ${etag}`, '*']) {
    assert.equal(await asked(other), `200 ${LETTERS}`, other);
  }
});

test('R17 If-Range with a date', async (t) => {
  const server = await startWithAlphabet(t);
  const modified = (await get(server, NAME)).headers.get('last-modified') ?? '';
  const asked = async (ifRange: string): Promise<string> =>
    summaryOf(await get(server, NAME, { range: 'bytes=0-4', 'if-range': ifRange }));
  assert.equal(await asked(modified), '206 bytes 0-4/26 abcde');
  const time = parseHttpDate(modified) ?? 0;
  for (const other of [time - 1000, time + 1000, time + 10 ** 9]) {
    assert.equal(await asked(new Date(other).toUTCString()), `200 ${LETTERS}`);
  }
  assert.equal(await asked('yesterday'), `200 ${LETTERS}`);
});

test('R16 if If-Range does not match, even an unsatisfiable range is ignored', async (t) => {
  const server = await startWithAlphabet(t);
  assert.equal(summaryOf(await get(server, NAME, { range: 'bytes=100-', 'if-range': '"other"' })), `200 ${LETTERS}`);
});

test('R18 If-Range without Range is ignored', async (t) => {
  const server = await startWithAlphabet(t);
  for (const value of ['"other"', 'nonsense'])
    assert.equal(summaryOf(await get(server, NAME, { 'if-range': value })), `200 ${LETTERS}`);
});

test('R26 the bytes are sent without a content coding', async (t) => {
  const server = await startServer(t);
  const text = Buffer.alloc(20_000, 'lading ');
  await put(server, 'text.txt', 0, text, { total_size: '20000' });
  for (const range of [undefined, 'bytes=0-9999']) {
    const got = await get(server, 'text.txt', { 'accept-encoding': 'gzip, br, deflate', ...(range ? { range } : {}) });
    assert.equal(got.headers.get('content-encoding'), null);
    assert.deepEqual(got.body, text.subarray(0, range ? 10_000 : 20_000));
  }
});

test('random ranges of a file equal its slices', async (t) => {
  const server = await startServer(t);
  const file = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 167) & 0xff));
  await put(server, 'file', 0, file, { total_size: '3000' });
  const extent = fc.tuple(fc.nat(3500), fc.nat(3500)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  await fc.assert(
    fc.asyncProperty(fc.array(extent, { minLength: 1, maxLength: 4 }), async (extents) => {
      const got = await get(server, 'file', { range: `bytes=${extents.map(([a, b]) => `${a}-${b}`).join(',')}` });
      const there = extents.filter(([start]) => start < file.length);
      if (there.length === 0) return assert.equal(got.status, 416);
      assert.equal(got.status, 206);
      const single = got.headers.get('content-range');
      const parts = single === null ? partsOf(got) : [{ range: single, body: got.body.toString('latin1') }];
      for (const { range, body } of parts) {
        const [, start = 0, end = 0] = (/^bytes (\d+)-(\d+)\/3000$/.exec(range ?? '') ?? []).map(Number);
        assert.equal(body, file.toString('latin1', start, end + 1));
      }
      for (const [start, end] of there) {
        const last = Math.min(end, file.length - 1);
        assert.ok(
          parts.some(({ range }) => {
            const [, from = 0, to = 0] = (/^bytes (\d+)-(\d+)\//.exec(range ?? '') ?? []).map(Number);
            return from <= start && last <= to;
          }),
          `${start}-${end} was sent`,
        );
      }
    }),
    { numRuns: 60 },
  );
});
