import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { ErrorCode } from '../../../src/errors.ts';
import { CATALOGUE } from '../../../src/errors.ts';
import { encodeChunkHeader } from '../../../src/protocol/chunk.ts';
import { encodeTrainChunk, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import { startServer } from '../../support/product/server.ts';
import { cutsOf, download, fileStatus, sendTrain, trainOf } from '../../support/wire/trains.ts';

const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz');

test('a train of chunks of any size, in any order, becomes the file', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(3_000_000);
  const cuts = cutsOf(bytes.length, 4096);
  const large: [number, number][] = [
    [0, 99],
    [100, 1_499_999],
    [1_500_000, 1_500_000],
    [1_500_001, 1_565_536],
    [1_565_537, 2_999_999],
  ];
  for (const [name, order, hasCrc32] of [
    ['ascending', cuts, false],
    ['descending', cuts.toReversed(), true],
    ['mixed', [...cuts.filter((_, i) => i % 2 === 1), ...cuts.filter((_, i) => i % 2 === 0)], false],
    ['large', large, true],
  ] as const) {
    const { status, outcome } = await sendTrain(
      server,
      `${name}&total_size=${bytes.length}`,
      trainOf(bytes, order, hasCrc32),
      {
        hasCrc32,
      },
    );
    assert.equal(status, 200, JSON.stringify(outcome));
    assert.equal(outcome.status, 'complete');
    assert.equal(outcome.committed_chunks, order.length);
    assert.deepEqual(await download(server, name), bytes);
  }
});

test('an empty train changes nothing and answers with the status', async (t) => {
  const server = await startServer(t);
  const { status, outcome } = await sendTrain(server, 'a&total_size=0', Buffer.alloc(0));
  assert.deepEqual([status, outcome.status, outcome.committed_chunks], [200, 'pending', 0]);
  assert.equal((await fileStatus(server, 'a')).status, 'pending');
  const lines = await sendTrain(server, 'a', Buffer.alloc(0), { lines: true });
  assert.deepEqual([lines.status, lines.type, lines.outcome.status], [200, 'application/x-ndjson', 'pending']);
});

test('a bad chunk ends the train; the chunks before it count', async (t) => {
  const server = await startServer(t, { LADING_MAX_CHUNK_BYTES: '1MiB', LADING_MAX_FILE_BYTES: '4MiB' });
  const good = trainOf(ALPHABET, [
    [0, 4],
    [5, 9],
  ]);
  const after = trainOf(ALPHABET, [[20, 25]]);
  const flipped = encodeTrainChunk(10, ALPHABET.subarray(10, 15));
  flipped[16] = ((flipped[16] ?? 0) + 1) & 0xff;
  const backwards = encodeTrainChunk(10, ALPHABET.subarray(10, 15));
  backwards.copyWithin(0, 8, 16);
  backwards.set(new Uint8Array(8), 8);
  const far = encodeTrainChunk(10, ALPHABET.subarray(10, 15));
  far.fill(0xff, 0, 8);
  const bad: Record<string, [ErrorCode, Uint8Array, object]> = {
    'a wrong sum': ['checksum_mismatch', flipped, { position: 2, start: 10, end: 14 }],
    'an end before the start': ['malformed_header', backwards, { position: 2 }],
    'an offset above 2^53': ['malformed_header', far, { position: 2 }],
    'another content for stored bytes': [
      'chunk_conflict',
      encodeTrainChunk(3, Buffer.from('xx')),
      { position: 2, start: 3, end: 4 },
    ],
    'another content for some stored bytes': [
      'chunk_conflict',
      encodeTrainChunk(8, Buffer.from('xxxx')),
      { position: 2, start: 8, end: 11 },
    ],
    'past the end': ['out_of_bounds', encodeTrainChunk(25, Buffer.from('zz')), { position: 2, start: 25, end: 26 }],
    'too large': [
      'chunk_too_large',
      encodeChunkHeader({ start: 0, end: 1024 ** 2, checksum: 0 }),
      { position: 2, start: 0, end: 1024 ** 2 },
    ],
  };
  for (const [what, [code, chunk, failed]] of Object.entries(bad)) {
    for (const lines of [false, true]) {
      await t.test(`${what}${lines ? ', in lines' : ''}`, async () => {
        const name = encodeURIComponent(`${what} ${lines}`);
        const size = what === 'too large' ? 3 * 1024 ** 2 : 26;
        const reply = await sendTrain(server, `${name}&total_size=${size}`, [good, chunk, after], { lines });
        assert.equal(reply.outcome.code, code, JSON.stringify(reply));
        assert.equal(reply.status, lines ? 200 : CATALOGUE[code].status);
        assert.equal(reply.outcome.status, CATALOGUE[code].status);
        assert.deepEqual(reply.outcome.failed_chunk, failed);
        assert.equal(reply.outcome.committed_chunks, 2);
        assert.equal((await fileStatus(server, name)).bytes_received, 10);
        if (lines) assert.equal(reply.lines.at(-1)?.committed_chunks, 2);
      });
    }
  }
});

test('fields that speak of one chunk are refused before the body is read', async (t) => {
  const server = await startServer(t);
  const digest = `sha-256=:${createHash('sha256').update(ALPHABET).digest('base64')}:`;
  for (const [field, value] of [
    ['content-digest', digest],
    ['x-chunk-crc32', '00000000'],
    ['content-range', 'bytes 0-25/26'],
    ['trailer', 'Content-Digest'],
  ] as const) {
    const reply = await sendTrain(server, 'a', trainOf(ALPHABET, [[0, 25]]), { headers: { [field]: value } });
    assert.deepEqual([reply.status, reply.outcome.code], [400, 'invalid_request'], field);
  }
  const gzip = await sendTrain(server, 'a', trainOf(ALPHABET, [[0, 25]]), { headers: { 'content-encoding': 'gzip' } });
  assert.deepEqual([gzip.status, gzip.outcome.code], [415, 'unsupported_media_type']);
  assert.equal((await fileStatus(server, 'a')).status, 'pending');
  const size = await sendTrain(server, 'a', trainOf(ALPHABET, [[0, 4]]), {
    headers: { 'content-range': 'bytes */26' },
  });
  assert.deepEqual([size.status, size.outcome.total_bytes], [200, 26]);
});

test('Repr-Digest, overwrite, content_type and preconditions hold as for a chunk', async (t) => {
  const server = await startServer(t);
  const digestOf = (bytes: Uint8Array): string => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
  const train = trainOf(ALPHABET, cutsOf(26, 5));
  const first = await sendTrain(server, 'a&total_size=26&content_type=text/x-a', train, {
    headers: { 'repr-digest': digestOf(ALPHABET), 'if-none-match': '*' },
  });
  assert.deepEqual([first.status, first.outcome.status, first.outcome.content_type], [200, 'complete', 'text/x-a']);
  const refused = await sendTrain(server, 'a&total_size=26&overwrite=true', train, {
    headers: { 'if-none-match': '*' },
  });
  assert.deepEqual([refused.status, refused.outcome.code], [412, 'precondition_failed']);
  const wrong = await sendTrain(server, 'b&total_size=26', train, { headers: { 'repr-digest': digestOf(train) } });
  assert.deepEqual([wrong.outcome.code, wrong.outcome.committed_chunks], ['digest_mismatch', 0]);
  assert.equal((await fileStatus(server, 'b')).status, 'pending');
  const other = Buffer.from(ALPHABET.toString().toUpperCase());
  const replaced = await sendTrain(
    server,
    'a&total_size=26&overwrite=true',
    trainOf(other, [...cutsOf(26, 5), [20, 25], [0, 4]]),
    {
      headers: { 'if-match': first.outcome.etag ?? '' },
    },
  );
  assert.deepEqual([replaced.status, replaced.outcome.status, replaced.outcome.committed_chunks], [200, 'complete', 8]);
  assert.deepEqual(await download(server, 'a'), other);
});

test('a complete file takes duplicates, and nothing else', async (t) => {
  const server = await startServer(t);
  const train = trainOf(ALPHABET, cutsOf(26, 5));
  const reply = await sendTrain(server, 'a&total_size=26', [train, train]);
  assert.deepEqual([reply.status, reply.outcome.status, reply.outcome.committed_chunks], [200, 'complete', 12]);
  const again = await sendTrain(server, 'a&total_size=26', train, { lines: true });
  assert.deepEqual([again.outcome.status, again.outcome.committed_chunks], ['complete', 6]);
  const other = await sendTrain(server, 'a', [trainOf(ALPHABET, [[0, 4]]), encodeTrainChunk(5, Buffer.from('x'))]);
  assert.deepEqual([other.status, other.outcome.code, other.outcome.committed_chunks], [409, 'file_complete', 1]);
});

test('a file of undeclared size grows with the train, over its seal', async (t) => {
  const server = await startServer(t);
  const reply = await sendTrain(server, 'a', trainOf(ALPHABET, cutsOf(15, 5)));
  assert.deepEqual([reply.outcome.status, reply.outcome.total_bytes], ['complete', 15]);
  const more = await sendTrain(
    server,
    'a',
    trainOf(ALPHABET, [
      [10, 14],
      [15, 20],
      [21, 25],
    ]),
    {
      headers: { 'if-match': reply.outcome.etag ?? '' },
    },
  );
  assert.deepEqual([more.status, more.outcome.total_bytes], [200, 26], JSON.stringify(more));
  assert.deepEqual(await download(server, 'a'), ALPHABET);
});

test('the reply in lines begins with the first commit, while the client still sends', async (t) => {
  const server = await startServer(t);
  const { request } = await import('node:http');
  const sent = request({
    ...{ port: server.port, host: '127.0.0.1', method: 'POST', path: '/api/files/upload?filename=a&total_size=26' },
    headers: { 'content-type': TRAIN_TYPE, accept: 'application/x-ndjson', ...server.client.headers },
  });
  const pieces: string[] = [];
  let wake = (): void => {};
  const has = async (count: number): Promise<string[]> => {
    while (pieces.join('').split('\n').length <= count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return pieces.join('').split('\n');
  };
  sent.on('response', (reply) => {
    assert.equal(reply.statusCode, 200);
    reply.on('data', (piece: Buffer) => {
      pieces.push(String(piece));
      wake();
    });
  });
  for (const [index, cut] of cutsOf(26, 5).entries()) {
    sent.write(trainOf(ALPHABET, [cut]));
    const line = JSON.parse((await has(index + 1))[index] ?? '') as object;
    assert.deepEqual(line, {
      committed: [cut],
      committed_chunks: index + 1,
      bytes_received: cut[1] + 1,
      next_expected_byte: cut[1] + 1,
    });
  }
  sent.end();
  assert.equal((JSON.parse((await has(7))[6] ?? '') as { status: string }).status, 'complete');
});
