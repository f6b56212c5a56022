import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import type { FileStatus } from '../../src/protocol/schemas.ts';
import { signIn, startServer } from '../support/server.ts';

test('a raw chunk is stored and its status comes back', async (t) => {
  const { origin, client } = await startServer(t);
  const { access_token: token } = await signIn(origin, client.id, client.secret);
  const data = Buffer.from('abcdefghijklmnopqrstuvwxyz');
  const reply = await fetch(`${origin}/api/files/upload?filename=a%2Fb.txt&total_size=26`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, data),
  });
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  const status = JSON.parse(text) as FileStatus;
  assert.equal(status.filename, 'a/b.txt');
  assert.equal(status.status, 'complete');
  assert.equal(status.bytes_received, 26);
});

test('a form with the part "file" is stored', async (t) => {
  const { origin, client } = await startServer(t);
  const form = new FormData();
  form.set('note', 'ignored');
  form.set('file', new Blob([encodeChunk(0, Buffer.from('hello'))]), 'x.bin');
  form.set('after', 'ignored too');
  const reply = await fetch(`${origin}/api/files/upload?filename=x.bin&total_size=5`, {
    method: 'POST',
    headers: client.headers,
    body: form,
  });
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  assert.equal((JSON.parse(text) as FileStatus).status, 'complete');
});
