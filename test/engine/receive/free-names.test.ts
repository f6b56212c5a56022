/** Numbered names: every name is free, and only a few of thousands are looked up. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { FileIntent } from '../../../src/engine/receive/file-upload.ts';
import { numbered } from '../../../src/engine/receive/free-names.ts';
import { startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

const OWNER = 'o';
const BESIDE: FileIntent = {
  owner: OWNER,
  name: 'takes/a.wav',
  overwrite: false,
  nameIfTaken: (name) => name,
  contentType: null,
  reprDigest: null,
  minSize: 0,
};

test('the number precedes the extension, and a long name loses the end of its stem', () => {
  assert.equal(numbered('a.wav', 2), 'a (2).wav');
  assert.equal(numbered('a', 10), 'a (10)');
  assert.equal(numbered('a.b/c', 2), 'a.b/c (2)');
  assert.equal(numbered('.profile', 2), '.profile (2)');
  const long = numbered(`${'ü'.repeat(510)}.wav`, 123_456);
  assert.ok(Buffer.byteLength(long ?? '') <= 1024);
  assert.match(long ?? '', /^ü+ \(123456\)\.wav$/);
  assert.equal(numbered(`${'f'.repeat(1020)}/a`, 2), null, 'it would be in another folder');
});

test('the 1,200th file of a name is stored after a few look-ups', async (t) => {
  const tap = new Tap();
  const { engine } = await startEngine(t, { durability: 'seal' }, { tap });
  const send = async (): Promise<string> => {
    const source = new PassThrough();
    source.end('x');
    return (await engine.receiveFile(source, BESIDE, async () => null)).filename;
  };
  const names = new Set<string>();
  for (let n = 0; n < 1200; n += 24)
    for (const name of await Promise.all(Array.from({ length: 24 }, send))) names.add(name);
  assert.equal(names.size, 1200);
  assert.ok(names.has('takes/a.wav') && names.has('takes/a (2).wav'));
  tap.reset();
  assert.match(await send(), /^takes\/a \(1\d{3}\)\.wav$/);
  assert.ok(tap.count('catalog.find') < 60, String(tap.count('catalog.find')));
  // A freed number may or may not be used again. No file is refused or replaced.
  for (const name of ['takes/a (2).wav', 'takes/a (500).wav']) await engine.remove(OWNER, name);
  const more = new Set([await send(), await send(), await send()]);
  assert.equal(more.size, 3);
  assert.ok(more.has('takes/a (2).wav'));
  const { files } = await engine.list({ owner: OWNER, prefix: 'takes/', cursor: null, limit: 5000, status: null });
  assert.equal(files.length, 1202);
});

test('the base of the names is tried before its numbers', async (t) => {
  const under = await startEngine(t);
  const seen: string[] = [];
  const send = async (): Promise<void> => {
    const source = new PassThrough();
    source.end('x');
    const intent = { ...BESIDE, name: 'a.wav', nameIfTaken: (name: string) => `20260101_000000_r_${name}` };
    seen.push((await under.engine.receiveFile(source, intent, async () => null)).filename);
  };
  for (let n = 0; n < 4; n += 1) await send();
  const stamped = '20260101_000000_r_a';
  assert.deepEqual(seen, ['a.wav', `${stamped}.wav`, `${stamped} (2).wav`, `${stamped} (3).wav`]);
});
