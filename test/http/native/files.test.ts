import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileList, FileStatus } from '../../../src/protocol/schemas/files.ts';
import { type Account, startServer, type TestServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

async function put(
  { origin }: TestServer,
  { headers }: Account,
  name: string,
  text: string,
  query = '',
): Promise<Response> {
  return fetch(`${origin}/api/files/upload?filename=${encodeURIComponent(name)}${query}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, Buffer.from(text)),
  });
}

async function call<T>({ origin }: TestServer, { headers }: Account, method: string, path: string): Promise<T> {
  const reply = await fetch(`${origin}${path}`, { method, headers });
  assert.equal(reply.status, 200);
  return (await reply.json()) as T;
}

test('a list has sorted pages, filters by status and prefix, and shows only the files of the owner', async (t) => {
  const server = await startServer(t);
  const { client, admin } = server;
  const names = ['b/2', 'a', 'b/1', 'ü', 'b/10', 'c'];
  for (const name of names) await put(server, client, name, 'x', name === 'c' ? '&total_size=2' : '&total_size=1');
  await put(server, admin, 'secret', 'x', '&total_size=1');

  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: FileList = await call(server, client, 'GET', `/api/files?limit=2${after}`);
    assert.ok(page.files.length <= 2);
    found.push(...page.files.map((file) => file.filename));
    cursor = page.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(found, [...names].sort());

  const listed = async (query: string): Promise<string[]> =>
    (await call<FileList>(server, client, 'GET', `/api/files?${query}`)).files.map((file) => file.filename);
  assert.deepEqual(await listed('status=partial'), ['c']);
  assert.deepEqual(await listed('prefix=b%2F'), ['b/1', 'b/10', 'b/2']);
  assert.deepEqual(await listed('prefix=b%2F1&status=complete&limit=1000'), ['b/1', 'b/10']);
  assert.deepEqual(await listed('status=pending'), []);
  const theirs = await call<FileList>(server, admin, 'GET', `/api/files?owner=${client.id}&limit=1`);
  assert.deepEqual(
    theirs.files.map((file) => file.filename),
    ['a'],
  );
});

test('an owner deletes a file once, and its name can be reused', async (t) => {
  const server = await startServer(t);
  const { client, admin, origin } = server;
  const other = await server.enrol();
  await put(server, client, 'a/b', 'hello', '&total_size=5');
  const url = `${origin}/api/files/a%2Fb`;
  await assertProblemReply(await fetch(url, { method: 'DELETE', headers: other.headers }), 'not_found');
  const deleted = await call<{ detail: string }>(server, client, 'DELETE', '/api/files/a%2Fb');
  assert.match(deleted.detail, /a\/b/);
  await assertProblemReply(await fetch(url, { method: 'DELETE', headers: client.headers }), 'not_found');
  assert.equal((await call<FileStatus>(server, client, 'GET', '/api/files/status/a%2Fb')).status, 'pending');
  await put(server, client, 'a/b', 'again', '&total_size=5');
  await call(server, admin, 'DELETE', `/api/files/a/b?owner=${client.id}`);
});

test('upload=only cancels the upload and keeps the file, and the reply says what was removed', async (t) => {
  const server = await startServer(t);
  const { client, admin, origin } = server;
  const removal = async (query = ''): Promise<string[]> => {
    const reply = await call<{ detail: string; removed: string[] }>(server, client, 'DELETE', `/api/files/f${query}`);
    assert.match(reply.detail, /\bf\b/);
    return reply.removed;
  };
  const refusedCancel = async () =>
    assertProblemReply(
      await fetch(`${origin}/api/files/f?upload=only`, { method: 'DELETE', headers: client.headers }),
      'not_found',
    );
  await refusedCancel();
  await put(server, client, 'f', 'hello', '&total_size=5');
  const stored = await call<FileStatus>(server, client, 'GET', '/api/files/status/f');
  await refusedCancel();
  await put(server, client, 'f', 'bye', '&total_size=6&overwrite=true');
  assert.deepEqual(await removal('?upload=only'), ['upload']);
  await refusedCancel();
  assert.deepEqual(await call<FileStatus>(server, client, 'GET', '/api/files/status/f'), stored);
  await put(server, client, 'f', 'bye', '&total_size=6&overwrite=true');
  assert.deepEqual(await removal(), ['file', 'upload']);
  await put(server, client, 'f', 'bye', '&total_size=6');
  assert.deepEqual(await removal(), ['upload']);
  await put(server, client, 'f', 'hello', '&total_size=5');
  await put(server, client, 'f', 'bye', '&total_size=6&overwrite=true');
  await call(server, admin, 'DELETE', `/api/files/f?upload=only&owner=${client.id}`);
  assert.deepEqual(await removal(), ['file']);
  const begun = await put(server, client, 'f', 'one', '&total_size=9');
  const { id: first } = (await begun.json()) as FileStatus;
  for (const id of ['0'.repeat(32), stored.id])
    await assertProblemReply(
      await fetch(`${origin}/api/files/f?upload=only&id=${id}`, { method: 'DELETE', headers: client.headers }),
      'not_found',
    );
  assert.deepEqual(await removal(`?upload=only&id=${first}`), ['upload']);
  for (const wrong of [`id=${first}`, 'upload=file', 'upload=', 'upload=only&upload=only']) {
    const reply = await fetch(`${origin}/api/files/f?${wrong}`, { method: 'DELETE', headers: client.headers });
    await assertProblemReply(reply, 'invalid_request');
  }
  const { entries } = await call<{ entries: { action: string }[] }>(server, admin, 'GET', '/api/audit?limit=6');
  assert.deepEqual(
    entries.map(({ action }) => action),
    ['upload_cancelled', 'file_deleted', 'upload_cancelled', 'upload_cancelled', 'file_deleted', 'upload_cancelled'],
  );
});

test('a file is completed and verified', async (t) => {
  const server = await startServer(t);
  const { client, origin } = server;
  await put(server, client, 'open', 'hello');
  const status = await call<FileStatus>(server, client, 'POST', '/api/files/complete/open');
  assert.deepEqual([status.status, status.total_bytes], ['complete', 5]);
  assert.deepEqual(await call(server, client, 'POST', '/api/files/verify/open'), {
    ok: true,
    checked_bytes: 5,
    bad: [],
  });
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  const body = encodeChunk(10, Buffer.from('later'));
  await fetch(`${origin}/api/files/upload?filename=gap`, { method: 'POST', headers, body });
  const refused = await fetch(`${origin}/api/files/complete/gap`, { method: 'POST', headers: client.headers });
  assert.deepEqual((await assertProblemReply(refused, 'not_contiguous')).missing, [[0, 9]]);
  const unknown = await fetch(`${origin}/api/files/complete/nothing`, { method: 'POST', headers: client.headers });
  await assertProblemReply(unknown, 'not_found');
});

test('a route with an optional body accepts a request without a body and Content-Type', async (t) => {
  const server = await startServer(t);
  const swept = await call<Record<string, number>>(server, server.admin, 'POST', '/api/sweep');
  assert.deepEqual(Object.keys(swept).sort(), ['removed', 'sealed']);
});
