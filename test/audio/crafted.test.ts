/** Crafted files cannot block the server or the files of other owners. */
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

test('crafted files are parsed in separate threads, and other owners are served', async (t) => {
  const sounds = new SoundReader();
  t.after(() => sounds.close());
  const crafted = [...craftedSounds(2 * MIB).values()];
  let ended = 0;
  const found = crafted.map((bytes, index) =>
    outcome(sounds.read(`owner ${index}`, stored(bytes))).finally(() => {
      ended += 1;
    }),
  );
  // A parser in this thread would block the event loop until it ends.
  for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
  assert.ok(ended < crafted.length);
  const sound = await sounds.read('another owner', stored(wav()));
  assert.equal(sound?.mediaType, 'audio/wav');
  for (const result of await Promise.all(found)) {
    assert.ok(result === null || isRefusal(result) || (result as { mediaType?: string }).mediaType, String(result));
  }
});

test('a file that exceeds the time limit is refused, and its thread is terminated', async (t) => {
  // The parser needs seconds on any machine, which is far above the limit.
  const sounds = new SoundReader({ threads: 1, milliseconds: 50 });
  t.after(() => sounds.close());
  const longest = craftedSounds(48 * MIB).get('blocks.flac') ?? assert.fail();
  assert.ok(isRefusal(await outcome(sounds.read('a', stored(longest)))));
});

test('a file that exceeds the memory limit is refused, and the next file is parsed', async (t) => {
  const sounds = new SoundReader({ megabytes: 8, threads: 1, milliseconds: 60_000 });
  t.after(() => sounds.close());
  const frames = craftedSounds(8 * MIB).get('comments.mp3') ?? assert.fail();
  assert.ok(isRefusal(await outcome(sounds.read('a', stored(frames)))));
  assert.equal((await sounds.read('a', stored(wav())))?.mediaType, 'audio/wav');
});

test('owners take turns, and the number of waiting files is limited per owner and in total', async (t) => {
  const sounds = new SoundReader({ threads: 1, waitingEach: 2, waiting: 4 });
  t.after(() => sounds.close());
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const order: string[] = [];
  const readHeld = (owner: string) => {
    const file = stored(wav());
    return sounds.read(owner, {
      ...file,
      read: async (into, position) => {
        await gate;
        return file.read(into, position);
      },
    });
  };
  const read = (owner: string, name: string) => readHeld(owner).then(() => order.push(name));
  const all = [read('a', 'a1'), read('a', 'a2'), read('a', 'a3'), read('b', 'b1')];
  const overloaded = (found: unknown) => found instanceof LadingError && found.code === 'overloaded';
  assert.ok(overloaded(await outcome(readHeld('a'))), 'too many of one owner');
  all.push(read('b', 'b2'));
  assert.ok(overloaded(await outcome(readHeld('c'))), 'too many of all');
  open();
  await Promise.all(all);
  assert.ok(order.indexOf('b1') < order.indexOf('a3'), order.join(' '));
});

test('files that wait when the server stops are refused', async () => {
  const sounds = new SoundReader({ threads: 1 });
  const never = () => new Promise<number>(() => {});
  const found = ['a', 'b'].map((owner) => outcome(sounds.read(owner, { size: 100, read: never })));
  await sounds.close();
  for (const result of await Promise.all([...found, outcome(sounds.read('c', stored(wav())))])) {
    assert.ok(result instanceof LadingError && result.code === 'shutting_down', String(result));
  }
});

test('a crafted upload is refused, a crafted file is omitted from the list, and the server keeps responding', async (t) => {
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
