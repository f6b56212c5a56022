/** tus: the extensions concatenation and concatenation-unfinished, over real sockets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { sign, startServer, type TestServer } from '../support/product/server.ts';
import { ask, begin, download, metadata, offsetOf, send } from '../support/wire/tus.ts';

/** A partial upload with these bytes; null for none yet. */
async function partOf(server: TestServer, size: number, bytes: Uint8Array | null): Promise<string> {
  const url = await begin(server, { 'upload-length': String(size), 'upload-concat': 'partial' });
  if (bytes && bytes.length > 0) assert.equal((await send(server, url, 0, bytes)).status, 204);
  return url;
}

async function names({ origin, client }: TestServer): Promise<string[]> {
  const reply = await fetch(`${origin}/api/files`, { headers: client.headers });
  return ((await reply.json()) as { files: { filename: string }[] }).files.map(({ filename }) => filename);
}

const final = (...urls: string[]): string => `final;${urls.join(' ')}`;

test('T35 T36 T37 T38 T40 partial uploads form one file in their order, and HEAD reports the kind of each', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(3_000_000);
  const cuts = [0, 1, 2_000_000, 2_000_000, bytes.length];
  const urls: string[] = [];
  for (const [index, end] of cuts.slice(1).entries()) {
    const part = bytes.subarray(cuts[index], end);
    urls.push(await partOf(server, part.length, part));
  }
  const head = await ask(server, urls[1] ?? '');
  assert.equal(head.headers.get('upload-concat'), 'partial');
  assert.equal(head.headers.get('upload-offset'), '1999999');
  assert.deepEqual(await names(server), [], 'a part is no file');
  // Relative and absolute URLs.
  const said = final(...urls.map((url, index) => (index % 2 === 0 ? new URL(url).pathname : url)));
  const whole = await begin(server, { 'upload-concat': said, 'upload-metadata': metadata({ filename: 'whole' }) });
  assert.ok((await download(server, 'whole')).equals(bytes));
  const { headers } = await ask(server, whole);
  assert.equal(headers.get('upload-concat'), said);
  assert.equal(headers.get('upload-length'), String(bytes.length));
  assert.equal(headers.get('upload-offset'), String(bytes.length));
  assert.deepEqual(await names(server), ['whole']);
  assert.equal((await send(server, whole, bytes.length, Buffer.alloc(0))).status, 403);
  assert.equal((await send(server, whole, 0, Buffer.from('x'))).status, 403);
  const verified = await fetch(`${server.origin}/api/files/verify/whole`, {
    method: 'POST',
    headers: server.client.headers,
  });
  assert.equal(((await verified.json()) as { ok: boolean }).ok, true);
});

test('T36 T40 the final upload has no declared length and none of the metadata of its parts', async (t) => {
  const server = await startServer(t);
  const fields = {
    'upload-length': '2',
    'upload-concat': 'partial',
    'upload-metadata': metadata({ filename: 'inner' }),
  };
  const part = await begin(server, fields);
  assert.equal((await send(server, part, 0, Buffer.from('ab'))).status, 204);
  const url = `${server.origin}/files/`;
  const refused = await ask(server, url, 'POST', { 'upload-concat': final(part), 'upload-length': '2' });
  assert.equal(refused.status, 400);
  const whole = await begin(server, { 'upload-concat': final(part) });
  assert.equal((await ask(server, whole)).headers.get('upload-metadata'), null);
  const found = await names(server);
  assert.equal(found.length, 1);
  assert.notEqual(found[0], 'inner');
  for (const wrong of ['final', 'final;', 'partially', 'final;/files/none', `final;${whole}`, '']) {
    const reply = await ask(server, url, 'POST', { 'upload-concat': wrong });
    assert.equal(reply.status, 400, wrong);
  }
});

test('T39 parts may be concatenated while they are still arriving', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(500_000);
  const [one, two] = [bytes.subarray(0, 200_000), bytes.subarray(200_000)];
  const first = await partOf(server, one.length, one);
  const second = await begin(server, { 'upload-defer-length': '1', 'upload-concat': 'partial' });
  const whole = await begin(server, {
    'upload-concat': final(first, second),
    'upload-metadata': metadata({ filename: 'late' }),
  });
  let head = await ask(server, whole);
  assert.equal(head.headers.get('upload-offset'), null);
  assert.equal(head.headers.get('upload-length'), null, 'a part has not declared its length');
  assert.equal(head.headers.get('upload-defer-length'), null);
  assert.equal((await send(server, second, 0, two.subarray(0, 100), { 'upload-length': '300000' })).status, 204);
  head = await ask(server, whole);
  assert.equal(head.headers.get('upload-length'), '500000');
  assert.equal(head.headers.get('upload-offset'), null);
  assert.equal((await send(server, second, 100, two.subarray(100))).status, 204);
  await eventually(async () => (await ask(server, whole)).headers.get('upload-offset') === '500000', 'it is joined');
  assert.ok((await download(server, 'late')).equals(bytes));
});

test('T39 a concatenation that waits for its parts continues after a restart', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(400_000);
  const first = await partOf(server, 200_000, bytes.subarray(0, 200_000));
  const second = await partOf(server, 200_000, bytes.subarray(200_000, 300_000));
  const fields = { 'upload-concat': final(first, second), 'upload-metadata': metadata({ filename: 'kept' }) };
  const whole = new URL(await begin(server, fields)).pathname;
  await server.close();
  const next = await startServer(t, {}, {}, server.dataDir);
  const again = { ...next, client: { ...server.client, ...sign(next.app, server.client.id, 'client') } };
  assert.equal((await ask(again, `${next.origin}${whole}`)).headers.get('upload-offset'), null);
  const rest = `${next.origin}${new URL(second).pathname}`;
  assert.equal(await offsetOf(again, rest), 100_000);
  assert.equal((await send(again, rest, 100_000, bytes.subarray(300_000))).status, 204);
  await eventually(async () => (await ask(again, `${next.origin}${whole}`)).headers.has('upload-offset'), 'joined');
  assert.ok((await download(again, 'kept')).equals(bytes));
});

test('T41 parts can be used in several files, but not by other owners', async (t) => {
  const server = await startServer(t);
  const [a, b] = [await partOf(server, 1, Buffer.from('a')), await partOf(server, 1, Buffer.from('b'))];
  for (const [name, order, text] of [
    ['ab', final(a, b), 'ab'],
    ['ba', final(b, a), 'ba'],
    ['aa', final(a, a), 'aa'],
  ] as const) {
    await begin(server, { 'upload-concat': order, 'upload-metadata': metadata({ filename: name }) });
    assert.equal((await download(server, name)).toString(), text);
  }
  const stranger = { ...server, client: await server.enrol() };
  const reply = await ask(stranger, `${server.origin}/files/`, 'POST', { 'upload-concat': final(a) });
  assert.equal(reply.status, 400);
  assert.equal((await ask(server, a, 'DELETE')).status, 204);
  assert.equal((await ask(server, `${server.origin}/files/`, 'POST', { 'upload-concat': final(a, b) })).status, 400);
  assert.equal((await download(server, 'ab')).toString(), 'ab', 'a file outlives its parts');
});

test('a concatenation that is too large is refused and leaves no data', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  const bytes = randomBytes(600_000);
  const [one, two] = [await partOf(server, bytes.length, bytes), await partOf(server, bytes.length, bytes)];
  const reply = await ask(server, `${server.origin}/files/`, 'POST', { 'upload-concat': final(one, two) });
  assert.equal(reply.status, 413);
  assert.equal(server.app.engine.gauges().open_uploads, 2);
  assert.deepEqual(await names(server), []);
});
