/** A whole server over the back end in memory: nothing above the storage knows which back end it has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { BACKENDS } from '../../../src/storage/backends.ts';
import { content } from '../../support/product/device.ts';
import { startServer } from '../../support/product/server.ts';

test('a server in memory takes chunks in any order and whole files, serves them, lists them and deletes them', async (t) => {
  const { origin, admin } = await startServer(t, {}, { backend: BACKENDS.memory });
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${origin}${path}`, { ...init, headers: { ...admin.headers, 'content-type': 'application/octet-stream' } });
  for (const start of [1000, 0]) {
    const body = encodeChunk(start, content(start, 1000));
    const reply = await ask('/api/files/upload?filename=chunks&total_size=2000', { method: 'POST', body });
    assert.ok(reply.ok, await reply.text());
  }
  const put = await ask('/api/files/content/whole', { method: 'PUT', body: content(0, 500, 1) });
  assert.equal(put.status, 201);
  const bytes = async (name: string) => Buffer.from(await (await ask(`/api/files/download/${name}`)).arrayBuffer());
  assert.deepEqual(await bytes('chunks'), Buffer.from(content(0, 2000)));
  assert.deepEqual(await bytes('whole'), Buffer.from(content(0, 500, 1)));
  const { files } = (await (await ask('/api/files')).json()) as { files: { filename: string; status: string }[] };
  assert.deepEqual(
    files.map(({ filename, status }) => [filename, status]),
    [
      ['chunks', 'complete'],
      ['whole', 'complete'],
    ],
  );
  assert.equal((await ask('/api/files/chunks', { method: 'DELETE' })).status, 200);
  assert.equal((await ask('/api/files/download/chunks')).status, 404);
});
