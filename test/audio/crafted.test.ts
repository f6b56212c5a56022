/** Whatever a file makes its parser do, the thread of the server goes on, and so do the files of others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredBytes } from '../../src/audio/ranges.ts';
import { SoundReader } from '../../src/audio/sound-reader.ts';
import { LadingError } from '../../src/errors.ts';
import { wav } from '../support/audio.ts';
import { craftedSounds } from '../support/crafted-audio.ts';
import { startServer } from '../support/product/server.ts';

const MIB = 1024 ** 2;

function stored(bytes: Uint8Array): StoredBytes {
  return {
    size: bytes.length,
    read: async (into, position) => {
      const piece = bytes.subarray(position, position + into.length);
      into.set(piece);
      return piece.length;
    },
  };
}

const outcome = (work: Promise<unknown>) => work.catch((error: unknown) => error);
const isRefusal = (found: unknown) => found instanceof LadingError && found.code === 'unsupported_media_type';

test('crafted files are parsed beside the server, and then the others have their turn', async (t) => {
  const sounds = new SoundReader();
  t.after(() => sounds.close());
  const crafted = [...craftedSounds(2 * MIB).values()];
  let ended = 0;
  const found = crafted.map((bytes, index) =>
    outcome(sounds.read(`owner ${index}`, stored(bytes))).finally(() => {
      ended += 1;
    }),
  );
  // A parser in this thread would not let go of it.
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
  assert.ok(ended < crafted.length);
  const good = await sounds.read('somebody else', stored(wav()));
  assert.equal(good?.mediaType, 'audio/wav');
  for (const result of await Promise.all(found)) {
    assert.ok(result === null || isRefusal(result) || (result as { mediaType?: string }).mediaType, String(result));
  }
});

test('a file that needs more time than it may have is refused, and a thread that parses it is ended', async (t) => {
  // Its parser takes seconds without a pause, whatever the machine; a limit far below that makes the outcome certain.
  const sounds = new SoundReader({ threads: 1, milliseconds: 50 });
  t.after(() => sounds.close());
  const longest = craftedSounds(48 * MIB).get('blocks.flac') ?? assert.fail();
  assert.ok(isRefusal(await outcome(sounds.read('a', stored(longest)))));
});

test('a file that needs more memory than its thread may have is refused, and the next one is parsed', async (t) => {
  const sounds = new SoundReader({ megabytes: 8, threads: 1, milliseconds: 60_000 });
  t.after(() => sounds.close());
  const frames = craftedSounds(8 * MIB).get('comments.mp3') ?? assert.fail();
  assert.ok(isRefusal(await outcome(sounds.read('a', stored(frames)))));
  assert.equal((await sounds.read('a', stored(wav())))?.mediaType, 'audio/wav');
});

test('one file of each owner at a time, owners in turn, and a bound for each and for all', async (t) => {
  const sounds = new SoundReader({ threads: 1, waitingEach: 2, waiting: 4 });
  t.after(() => sounds.close());
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const order: string[] = [];
  const held = (owner: string) => {
    const file = stored(wav());
    return sounds.read(owner, {
      ...file,
      read: async (into, position) => {
        await gate;
        return file.read(into, position);
      },
    });
  };
  const look = (owner: string, name: string) => held(owner).then(() => order.push(name));
  const all = [look('a', 'a1'), look('a', 'a2'), look('a', 'a3'), look('b', 'b1')];
  const overloaded = (found: unknown) => found instanceof LadingError && found.code === 'overloaded';
  assert.ok(overloaded(await outcome(held('a'))), 'too many of one owner');
  all.push(look('b', 'b2'));
  assert.ok(overloaded(await outcome(held('c'))), 'too many of all');
  go();
  await Promise.all(all);
  assert.ok(order.indexOf('b1') < order.indexOf('a3'), order.join(' '));
});

test('what waits when the server stops is refused', async () => {
  const sounds = new SoundReader({ threads: 1 });
  const never = () => new Promise<number>(() => {});
  const found = ['a', 'b'].map((owner) => outcome(sounds.read(owner, { size: 100, read: never })));
  await sounds.close();
  for (const result of await Promise.all([...found, outcome(sounds.read('c', stored(wav())))])) {
    assert.ok(result instanceof LadingError && result.code === 'shutting_down', String(result));
  }
});

test('over the wire: a crafted file is refused by name or left out of the list, and the server answers meanwhile', async (t) => {
  const { origin, client } = await startServer(t);
  const nested = craftedSounds(8 * MIB).get('nested.m4a') ?? assert.fail();
  const put = await fetch(`${origin}/api/files/content/nested.m4a`, {
    method: 'PUT',
    headers: { ...client.headers, 'content-type': 'audio/mp4' },
    body: nested,
  });
  assert.equal(put.status, 201);
  const form = new FormData();
  form.set('file', new Blob([nested]), 'other.m4a');
  const upload = fetch(`${origin}/v1/audio/file`, { method: 'POST', headers: client.headers, body: form });
  const list = fetch(`${origin}/v1/audio/`, { headers: client.headers });
  assert.equal((await fetch(`${origin}/health`)).status, 200);
  assert.equal((await upload).status, 415);
  assert.deepEqual(await (await list).json(), []);
  const again = await fetch(`${origin}/v1/audio/`, { headers: client.headers });
  assert.equal(again.status, 200);
});
