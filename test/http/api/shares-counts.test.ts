/** Share links with a limited number of downloads. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, get as request } from 'node:http';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { alphabet, listed, made, told, use } from './shares-setup.ts';

/** Reads the beginning of a reply and closes the connection. */
async function breakOff(url: string): Promise<void> {
  const asked = request(url);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  await once(answer, 'data');
  asked.destroy();
}

test('a link with one download left serves the whole file, and probes, HEAD and refusals do not count', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url, share_id } = await made(server, { max_downloads: 1 });
  for (let n = 0; n < 3; n += 1) assert.equal((await use(url, {}, 'HEAD')).status, 200);
  assert.equal(await told(url, '90-'), '416 range_not_satisfiable');
  assert.equal((await use(url, { 'if-none-match': '*' })).status, 304);
  // A phone requests two bytes first, a preview the beginning, a player the end.
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

test('ranges that make up the file count as one download, in sequence or in parallel', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  for (const ranges of [['0-9', '10-19', '20-'], ['0-'], ['20-', '0-12', '10-20']]) {
    const { url } = await made(server, { max_downloads: 1 });
    await Promise.all(ranges.map(async (range) => assert.match(await told(url, range), /^206 /)));
    await eventually(async () => (await use(url, {}, 'HEAD')).status === 404, `the end of the link by ${ranges}`);
    assert.equal(await told(url, '0-1'), '404 not_found');
  }
});

test('a prefetch does not count as a download', async (t) => {
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

test('endless partial downloads end with a full download', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url } = await made(server, { max_downloads: 1 });
  const answers: string[] = [];
  while (answers.length < 100 && answers.at(-1) !== '404 not_found') answers.push(await told(url, '0-24'));
  assert.equal(answers.filter((answer) => answer === `200 ${ALPHABET}`).length, 1, 'a Range may be ignored');
  assert.ok(answers.length < 60, String(answers.length));
});

test('concurrent downloads do not exceed the limit', async (t) => {
  const server = await startServer(t);
  await alphabet(server);
  const { url } = await made(server, { max_downloads: 3 });
  const all = await Promise.all(Array.from({ length: 12 }, () => told(url)));
  assert.equal(all.filter((one) => one === `200 ${ALPHABET}`).length, 3);
  assert.equal(all.filter((one) => one === '404 not_found').length, 9);
});

test('an empty file is downloaded up to the limit', async (t) => {
  const server = await startServer(t);
  await put(server, 'empty', 0, Buffer.alloc(0), { total_size: '0' });
  const { url } = await made(server, { max_downloads: 2 }, 'empty');
  assert.equal(await told(url), '200 ');
  assert.equal(await told(url), '200 ');
  assert.equal(await told(url), '404 not_found');
});

test('an interrupted download can be repeated', async (t) => {
  const server = await startServer(t);
  const size = 8 * 1024 * 1024;
  await put(server, 'large', 0, randomBytes(size), { total_size: String(size) });
  const { url } = await made(server, { max_downloads: 1 }, 'large');
  await breakOff(url);
  // Until the server notices the interruption, no download is left.
  const got = async (): Promise<number> => (await (await use(url)).arrayBuffer()).byteLength;
  await eventually(async () => (await got()) === size, 'the download after one that broke off');
  assert.equal(await told(url), '404 not_found');
});
