/** What readers get: representations of files and uploads, lists, and notifications. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { Engine } from '../../../src/engine/engine.ts';
import { Watchers } from '../../../src/engine/files/watchers.ts';
import type { FileListQuery } from '../../../src/engine/read/file-list.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { clockOf } from '../../support/product/clock.ts';
import {
  content,
  intent,
  OWNER,
  readRange,
  refused,
  send,
  sendRaw,
  sendSlowly,
  text,
} from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';

test('a complete file: readable, with size, tag, type and time', async (t) => {
  const now = Date.UTC(2030, 0, 1);
  const { engine } = await startEngine(t, {}, { clock: clockOf(() => now) });
  const status = await send(engine, 'notes.txt', 0, text('abc'), { declaredSize: 3 });
  const file = await engine.open(OWNER, 'notes.txt');
  const { id, name, size, readable, etag, lastModified, reprDigest } = file;
  assert.deepEqual(
    { id, name, size, readable, etag, lastModified, reprDigest },
    {
      id: status.id,
      name: 'notes.txt',
      size: 3,
      readable: true,
      etag: status.etag,
      lastModified: now,
      reprDigest: null,
    },
  );
  assert.equal(file.state(), 'sealed');
  assert.ok(file.covers({ start: 0, end: 2 }));
  assert.ok(!file.covers({ start: 0, end: 3 }));
  assert.equal(file.committedUpTo(1), 3);
  assert.equal(file.committedUpTo(7), 7);
  file.release();
  assert.equal(status.content_type, 'text/plain');
  const typed = await send(engine, 'a.txt', 0, text('a'), { declaredSize: 1, contentType: 'application/x-own' });
  assert.equal(typed.content_type, 'application/x-own');
});

test('the stored bytes of an unfinished upload can be read, but not the whole file', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, content(0, 10), { declaredSize: 100 });
  await send(engine, 'f', 20, content(20, 10));
  const file = await engine.open(OWNER, 'f');
  assert.deepEqual([file.readable, file.size, file.etag, file.lastModified], [false, 100, null, null]);
  assert.equal(file.state(), 'open');
  assert.deepEqual(
    [0, 5, 9, 10, 19, 20, 29, 30, 99].map((at) => file.committedUpTo(at)),
    [10, 10, 10, 10, 19, 30, 30, 30, 99],
  );
  assert.ok(file.covers({ start: 20, end: 29 }));
  assert.ok(!file.covers({ start: 19, end: 29 }));
  file.release();
});

test('a reader sees an upload grow and be sealed', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, content(0, 10), { declaredSize: 30 });
  const file = await engine.open(OWNER, 'f');
  await send(engine, 'f', 10, content(10, 10));
  assert.equal(file.committedUpTo(0), 20);
  await send(engine, 'f', 20, content(20, 10));
  assert.equal(file.state(), 'sealed');
  assert.equal(file.committedUpTo(0), 30);
  const bytes = Buffer.alloc(30);
  assert.equal(await file.reader.read(bytes, 0), 30);
  assert.deepEqual(bytes, Buffer.from(content(0, 30)));
  file.release();
});

test('the bytes of an unverified chunk are not readable', async (t) => {
  const { engine, quiet } = await startEngine(t);
  await send(engine, 'f', 0, content(0, 10));
  const slow = sendSlowly(engine, 'f', 10, content(10, 200_000));
  slow.push(150_000);
  await slow.taken();
  await quiet();
  const file = await engine.open(OWNER, 'f');
  assert.equal(file.committedUpTo(0), 10);
  assert.equal(file.size, 10);
  slow.push();
  slow.end();
  await slow.reply;
  assert.equal(file.committedUpTo(0), 200_010);
  file.release();
});

test('an unknown name is not_found, and owners do not see the files of others', async (t) => {
  const { engine } = await startEngine(t);
  await send(engine, 'f', 0, text('abc'), { declaredSize: 3 });
  await refused(engine.open(OWNER, 'g'), 'not_found');
  await refused(engine.open('other', 'f'), 'not_found');
  await refused(engine.remove('other', 'f'), 'not_found');
  await refused(engine.complete('other', 'f'), 'not_found');
  assert.equal((await engine.status('other', 'f')).status, 'pending');
  await engine.receiveChunk(readable(text('xyz')), { ...intent('f', { declaredSize: 3 }), owner: 'other' });
  assert.deepEqual(await readRange(engine, 'f', 0, 2), Buffer.from('abc'));
});

function readable(bytes: Uint8Array): Readable {
  return Readable.from([Buffer.from(encodeChunk(0, bytes))]);
}

async function names(engine: Engine, query: Partial<FileListQuery> = {}): Promise<string[]> {
  const page = await engine.list({ owner: OWNER, prefix: '', cursor: null, limit: 100, status: null, ...query });
  return page.files.map(({ filename }) => filename);
}

test('a list has uploads and complete files by name, with a filter and a prefix', async (t) => {
  const { engine } = await startEngine(t, { durability: 'seal' });
  await send(engine, 'logs/b', 0, text('x'), { declaredSize: 1 });
  await send(engine, 'logs/a', 0, text('x'), { declaredSize: 2 });
  await send(engine, 'a', 0, text('x'));
  await sendRaw(engine, 'z', new Uint8Array(), { declaredSize: 0 });
  await send(engine, 'logs/b', 0, text('y'), { declaredSize: 2, overwrite: true });
  await engine.receiveChunk(readable(text('x')), { ...intent('foreign'), owner: 'other' });
  assert.deepEqual(await names(engine), ['a', 'logs/a', 'logs/b', 'z']);
  assert.deepEqual(await names(engine, { prefix: 'logs/' }), ['logs/a', 'logs/b']);
  assert.deepEqual(await names(engine, { status: 'complete' }), ['a', 'z']);
  assert.deepEqual(await names(engine, { status: 'partial' }), ['logs/a', 'logs/b']);
  assert.deepEqual(await names(engine, { status: 'pending' }), []);
  const [replaced] = (await engine.list({ owner: OWNER, prefix: 'logs/b', cursor: null, limit: 1, status: null }))
    .files;
  assert.deepEqual([replaced?.status, replaced?.readable], ['partial', true]);
});

test('the pages of a list have every name once and in order, for every filter and page size', async (t) => {
  const { engine } = await startEngine(t, { durability: 'seal' });
  const all = Array.from({ length: 23 }, (_, i) => `f${String(i).padStart(2, '0')}`);
  for (const [i, name] of all.entries()) await send(engine, name, 0, text('x'), i % 3 === 0 ? { declaredSize: 2 } : {});
  const complete = all.filter((_, i) => i % 3 !== 0);
  for (const [status, expected] of [
    [null, all],
    ['complete', complete],
    ['pending', []],
  ] as const) {
    for (const limit of [1, 2, 5, 22, 23, 24]) {
      const seen: string[] = [];
      let cursor: string | null = null;
      let pages = 0;
      do {
        const page: Awaited<ReturnType<Engine['list']>> = await engine.list({
          owner: OWNER,
          prefix: 'f',
          cursor,
          limit,
          status,
        });
        assert.ok(page.files.length <= limit);
        assert.ok(page.next_cursor === null || page.files.length === limit, 'a page that is not the last is full');
        seen.push(...page.files.map(({ filename }) => filename));
        cursor = page.next_cursor;
        pages += 1;
      } while (cursor !== null);
      assert.deepEqual(seen, expected, `limit ${limit}`);
      assert.ok(pages <= Math.max(1, Math.ceil(expected.length / limit) + 1));
    }
  }
});

test('a watcher is called for chunks, the seal and the deletion of its name until it stops', async (t) => {
  const { engine } = await startEngine(t);
  let heard = 0;
  const stop = engine.watch(OWNER, 'f', () => {
    heard += 1;
  });
  await send(engine, 'f', 0, text('abc'), { declaredSize: 6 });
  assert.equal(heard, 1);
  await send(engine, 'g', 0, text('abc'));
  assert.equal(heard, 1, 'another name');
  await send(engine, 'f', 3, text('def'));
  assert.equal(heard, 3, 'the chunk and the seal');
  await engine.remove(OWNER, 'f');
  assert.equal(heard, 4);
  stop();
  await send(engine, 'f', 0, text('abc'));
  assert.equal(heard, 4);
});

test('every watcher of a name is called, even one that stops during the call', () => {
  const watchers = new Watchers();
  const told: string[] = [];
  const stopA = watchers.watch('o', 'n', () => {
    told.push('a');
    stopA();
  });
  watchers.watch('o', 'n', () => told.push('b'));
  watchers.notify('o', 'n');
  watchers.notify('o', 'n');
  assert.deepEqual(told, ['a', 'b', 'b']);
  stopA();
  watchers.notify('o\0n', '');
  assert.deepEqual(told, ['a', 'b', 'b']);
});
