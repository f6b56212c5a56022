/** The versions of the draft that existing clients use, distinguished by Upload-Draft-Interop-Version. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { startServer } from '../support/product/server.ts';
import { ask, content, type Fields, offsetOf, PARTIAL } from '../support/wire/resumable.ts';

interface Spoken {
  version: number;
  complete: (yes: boolean) => Fields;
  /** The field of answers, and its value for a complete upload. */
  answer: [name: string, yes: string, no: string];
  type: string | null;
}

const SPOKEN: Spoken[] = [
  ...[8, 7, 6].map((version): Spoken => {
    const complete = (yes: boolean): Fields => ({ 'upload-complete': yes ? '?1' : '?0' });
    return { version, complete, answer: ['upload-complete', '?1', '?0'], type: PARTIAL };
  }),
  {
    version: 5,
    complete: (yes) => ({ 'upload-complete': yes ? '?1' : '?0' }),
    answer: ['upload-complete', '?1', '?0'],
    type: null,
  },
  {
    version: 3,
    complete: (yes) => ({ 'upload-incomplete': yes ? '?0' : '?1' }),
    answer: ['upload-incomplete', '?0', '?1'],
    type: null,
  },
];

for (const { version, complete, answer, type } of SPOKEN) {
  test(`I40 version ${version}: an upload is created, resumed, corrected and completed`, async (t) => {
    const server = await startServer(t);
    const [field, yes, no] = answer;
    const draft = { 'upload-draft-interop-version': String(version) };
    const bytes = randomBytes(400_000);
    const headers = { ...draft, ...complete(false), 'content-disposition': 'attachment; filename="v"' };
    const created = await ask(server, 'POST', '/api/uploads', { headers, body: bytes.subarray(0, 100_000) });
    assert.equal(created.status, 201);
    assert.equal(created.interim[0]?.status, 104);
    assert.equal(created.interim[0]?.headers['upload-draft-interop-version'], String(version));
    assert.equal(created.headers['upload-draft-interop-version'], String(version));
    assert.equal(created.headers['upload-offset'], '100000', 'an incomplete creation says how far it is');
    assert.equal(created.headers[field], no);
    const url = created.headers.location ?? '';
    const head = await ask(server, 'HEAD', url, { headers: draft });
    assert.equal(head.status, 204);
    assert.equal(head.headers['upload-offset'], '100000');
    assert.equal(head.headers[field], no);
    for (const said of ['upload-offset', 'upload-complete', 'upload-length', 'upload-incomplete']) {
      assert.equal((await ask(server, 'HEAD', url, { headers: { ...draft, [said]: '?0' } })).status, 400, said);
    }
    const append = (offset: number, body: Uint8Array, ends: boolean) => {
      const fields = { ...draft, ...complete(ends), 'upload-offset': String(offset) };
      return ask(server, 'PATCH', url, { headers: type === null ? fields : { ...fields, 'content-type': type }, body });
    };
    const wrong = await append(7, bytes.subarray(7, 9), false);
    assert.equal(wrong.status, 409);
    assert.equal(wrong.headers['upload-offset'], '100000');
    assert.equal(wrong.headers[field], no);
    const more = await append(100_000, bytes.subarray(100_000, 250_000), false);
    assert.equal(more.status, 204);
    assert.equal(more.headers['upload-offset'], '250000');
    const last = await append(250_000, bytes.subarray(250_000), true);
    assert.equal(last.status, 200);
    assert.equal(last.headers['upload-offset'], '400000', 'the last answer says it, too');
    assert.equal(last.headers[field], yes);
    assert.ok((await content(server, 'v')).equals(bytes));
    assert.equal((await ask(server, 'HEAD', url, { headers: draft })).headers[field], yes);
    assert.equal((await ask(server, 'DELETE', url, { headers: draft })).status, 204);
    assert.equal((await ask(server, 'HEAD', url, { headers: draft })).status, 404, 'inactive');
  });
}

test('I40 version 3: a PATCH without Upload-Incomplete is the last one', async (t) => {
  const server = await startServer(t);
  const draft = { 'upload-draft-interop-version': '3' };
  const headers = { ...draft, 'upload-incomplete': '?1', 'content-disposition': 'attachment; filename="w"' };
  const { headers: created } = await ask(server, 'PUT', '/api/files/content/w', { headers, body: 'ab' });
  const url = created.location ?? '';
  assert.equal(await offsetOf(server, url), 2);
  const last = await ask(server, 'PATCH', url, { headers: { ...draft, 'upload-offset': '2' }, body: 'c' });
  assert.equal(last.status, 200);
  assert.equal((await content(server, 'w')).toString(), 'abc');
});

test('I1 a field of another type counts as absent', async (t) => {
  const server = await startServer(t);
  for (const value of ['1', 'true', '"?1"', '?2', '']) {
    const headers = { 'upload-draft-interop-version': '8', 'upload-complete': value };
    const plain = await ask(server, 'PUT', '/api/files/content/p', { headers, body: 'x' });
    assert.ok(plain.status === 200 || plain.status === 201);
    assert.equal(plain.headers.location, undefined, value);
  }
  const { headers } = await ask(server, 'POST', '/api/uploads', {
    headers: { 'upload-complete': '?0;a=b', 'upload-length': '3;x' },
  });
  assert.equal(headers['upload-complete'], '?0', 'parameters are no other type');
  for (const offset of ['-1', '1.0', '"0"', '?0']) {
    const fields = { 'content-type': PARTIAL, 'upload-offset': offset, 'upload-complete': '?0' };
    assert.equal((await ask(server, 'PATCH', headers.location ?? '', { headers: fields, body: 'a' })).status, 400);
  }
});
