/** The log names the file and its owner when an upload is parked and when it is removed. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { pino } from 'pino';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { handClock } from '../../support/product/clock.ts';
import { startServer } from '../../support/product/server.ts';

test('the log records parked and removed uploads with file, owner and bytes', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  const clock = handClock(Date.now());
  const server = await startServer(t, {}, { log: pino({ level: 'info' }, sink), clock });
  const { origin, client, app } = server;
  const upload = await fetch(`${origin}/api/files/upload?filename=a/left.bin&total_size=26`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, Buffer.from('hello')),
  });
  assert.equal(upload.status, 200);
  const said = (words: string) => lines.filter(({ msg }) => String(msg).includes(words));
  const about = { file: 'a/left.bin', tenant: 'default', id: client.id, bytes_received: 5 };
  clock.pass(8 * 24 * 3600_000);
  await app.engine.sweep();
  const [parked, ...more] = said('an upload was parked');
  assert.deepEqual([more.length, parked && { ...parked, ...about }], [0, parked], JSON.stringify(lines));
  assert.ok(parked?.expires_at);
  assert.equal(said('an upload was removed').length, 0);
  clock.pass(400 * 24 * 3600_000);
  await app.engine.sweep();
  const [removed, ...others] = said('an upload was removed');
  assert.deepEqual([others.length, removed && { ...removed, ...about }], [0, removed], JSON.stringify(lines));
  assert.equal(said('an upload was parked').length, 1);
});
