/**
 * A large file that is sent as a form to a server process. The memory of the server does not depend on the size of the file.
 * 300 MB by default; `npm run test:large` sends 5 GB (LARGE_FORM_BYTES takes any number).
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { hex32 } from '../../../src/protocol/crc32.ts';
import type { AudioFile } from '../../../src/protocol/schemas/audio.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { wavHeader } from '../../support/audio.ts';
import { signIn } from '../../support/product/server.ts';
import { type ServerProcess, startServerProcess, temporaryFolder } from '../../support/servers/processes.ts';

const BYTES = Number(process.env.LARGE_FORM_BYTES ?? 300_000_000);
/** Much less than the size of the file. */
const MAX_GROWTH = 200_000_000;
const PIECE = 1_000_000;
const BOUNDARY = 'xxBOUNDARYxx';
const HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.wav"\r\n\r\n`;
const TAIL = `\r\n--${BOUNDARY}--\r\n`;

/** A million samples that differ from the previous ones. */
function piece(number: number): Buffer {
  const bytes = Buffer.alloc(PIECE);
  for (let at = 0; at + 8 <= PIECE; at += 8) bytes.writeUInt32LE((number * PIECE + at) >>> 0, at);
  return bytes;
}

/** The peak resident memory of the process, in bytes. */
function peakOf({ process: { pid } }: ServerProcess): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

async function begin(server: ServerProcess) {
  const { LADING_CLIENT_ID: id = '', LADING_CLIENT_SECRET: secret = '', LADING_SERVER: origin = '' } = server.env;
  const { access_token: token } = await signIn(origin, id, secret);
  const headers = { authorization: `Bearer ${token}` };
  const sent = request(`${origin}/v1/audio/file`, {
    method: 'POST',
    headers: { ...headers, 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  answered.catch(() => {});
  const write = async (bytes: Buffer | string): Promise<void> => {
    if (!sent.write(bytes)) await Promise.race([once(sent, 'drain'), answered]);
  };
  await write(HEAD);
  return { origin, headers, sent, answered, write };
}

async function send(server: ServerProcess, size: number) {
  const { origin, headers, sent, answered, write } = await begin(server);
  const start = wavHeader(size - 44, 48_000, 2);
  await write(start);
  let crc = crc32(start);
  for (let at = start.length, number = 0; at < size; at += PIECE, number += 1) {
    const bytes = piece(number).subarray(0, size - at);
    crc = crc32(bytes, crc);
    await write(bytes);
  }
  sent.end(TAIL);
  const [reply] = await answered;
  let text = '';
  for await (const more of reply) text += String(more);
  assert.equal(reply.statusCode, 200, text);
  return { origin, headers, crc: hex32(crc), made: JSON.parse(text) as AudioFile };
}

const linux = existsSync('/proc/self/status');

test(`${BYTES} bytes as a form, with flat memory`, {
  skip: linux ? false : 'there is no /proc here',
}, async (t: TestContext) => {
  const server = await startServerProcess(t, await temporaryFolder(t));
  // Memory that is allocated once does not depend on the size of a file.
  await send(server, 1_000_000);
  await removeIt(server);
  const before = peakOf(server);
  const { origin, headers, crc, made } = await send(server, BYTES);
  const growth = peakOf(server) - before;
  t.diagnostic(`peak resident memory: ${before} bytes before, ${growth} more for ${BYTES}`);
  assert.equal(made.file_size, BYTES);
  assert.equal(made.sample_rate, 48_000);
  const status = (await (await fetch(`${origin}/api/files/status/large.wav`, { headers })).json()) as FileStatus;
  assert.deepEqual([status.status, status.crc32], ['complete', crc]);
  for (const number of [0, Math.floor((BYTES - 44) / PIECE / 2), Math.floor((BYTES - 44) / PIECE) - 1]) {
    const at = 44 + number * PIECE;
    const range = { ...headers, range: `bytes=${at}-${at + PIECE - 1}` };
    const part = await fetch(`${origin}/v1/audio/file/${made.id}`, { headers: range });
    assert.equal(part.status, 206);
    assert.ok(Buffer.from(await part.arrayBuffer()).equals(piece(number)), `at ${at}`);
  }
  assert.ok(growth < MAX_GROWTH, `the server's memory grew by ${growth} bytes`);
});

async function removeIt(server: ServerProcess): Promise<void> {
  const { LADING_CLIENT_ID: id = '', LADING_CLIENT_SECRET: secret = '', LADING_SERVER: origin = '' } = server.env;
  const { access_token: token } = await signIn(origin, id, secret);
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(`${origin}/api/files/large.wav`, { method: 'DELETE', headers })).status, 200);
}

test('a server that is killed during a form keeps nothing of it and accepts it after the restart', async (t) => {
  const folder = await temporaryFolder(t);
  const server = await startServerProcess(t, folder);
  const { sent, write } = await begin(server);
  sent.on('error', () => {});
  await write(wavHeader(40_000_000, 48_000, 2));
  for (let number = 0; number < 20; number += 1) await write(piece(number));
  await server.kill();
  const again = await startServerProcess(t, folder);
  const { made, origin, headers } = await send(again, 2_000_044);
  const list = (await (await fetch(`${origin}/v1/audio/`, { headers })).json()) as AudioFile[];
  assert.deepEqual(list, [made]);
  const stored = await readdir(join(folder, 'v1/files'), { recursive: true });
  assert.equal(stored.filter((name) => /(part|blob)$/.test(name)).length, 1);
});
