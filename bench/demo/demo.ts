/**
 * `npm run demo`: uploads a large file with the command line to a server that is killed twice during the upload. Prints each step, and
 * exits with 0 only if every comparison succeeds.
 */
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LadingError } from '../../src/client/client.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { stopChild } from '../process.ts';
import { type Content, makeFile, sha256Of, slice } from './content.ts';
import { check, failures, MB, mb, missing, say, seconds, step, within } from './print.ts';
import { client, directory, kill, lading, NAME, startServer, untilReceived } from './processes.ts';

/** Small chunks over two connections make the upload slow enough to interrupt, and leave many chunks to recover. */
const CHUNK_SIZES = ['1MiB', '256KiB', '64KiB'];
const RANGES = 25;

const source = join(directory, 'random.bin');

/** Uploads until half of the file is acknowledged, then kills the server and the command. Resolves with the last status. */
async function interruptedUpload(size: number, server: ChildProcess): Promise<{ before: FileStatus; args: string[] }> {
  for (const chunkSize of CHUNK_SIZES) {
    const args = ['upload', source, '--name', NAME, '--chunk-size', chunkSize, '--parallel', '2'];
    say(`lading ${args.join(' ')}`);
    const began = performance.now();
    const upload = lading(...args);
    const before = await untilReceived(size / 2, upload);
    if (before.status === 'partial') {
      await kill(server);
      say(`server killed after ${seconds(began)}: ${mb(before.bytes_received)} of ${mb(size)} had been acknowledged`);
      await kill(upload.child);
      say('command killed too, so neither side keeps anything in memory');
      return { before, args };
    }
    await upload.finished;
    say('the upload ended before it could be interrupted; retrying with smaller chunks');
    await client.remove(NAME);
  }
  throw new Error('this machine is too fast for a file of this size; use a larger --size');
}

async function readWhileIncomplete({ missing: [gap] }: FileStatus): Promise<void> {
  const first = 1_000_000;
  const last = first + MB - 1;
  const download = await client.download(NAME, { range: { start: first, end: last } });
  const bytes = await collect(download.body);
  say(`bytes ${first}-${last}: 206, from an incomplete file of ${download.size} bytes`);
  check(bytes.equals(slice(source, first, last)), 'they match the local file');
  if (gap === undefined) throw new Error('nothing is missing');
  const refused = await client.download(NAME, { range: { start: gap[0], end: gap[1] } }).then(
    (download) => {
      download.discard();
      return null;
    },
    (error: unknown) => error,
  );
  const code = refused instanceof LadingError ? refused.code : 'no error';
  check(code === 'not_complete', `bytes ${gap[0]}-${gap[1]}, which have not arrived: ${code}`);
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Runs the same command again. The server is killed a second time, and the command resumes on its own. */
async function resumedUpload(
  args: string[],
  size: number,
  stored: number,
  server: ChildProcess,
): Promise<ChildProcess> {
  const began = performance.now();
  const upload = lading(...args);
  const status = await untilReceived(size * 0.75, upload);
  let running = server;
  if (status.status === 'partial') {
    await kill(server);
    say(`server killed again at ${mb(status.bytes_received)}; the command continues`);
    running = await startServer();
  }
  const { code, lines } = await upload.finished;
  const result = lines.at(-1) ?? {};
  say(`the command ended after ${seconds(began)}, exit code ${code}`);
  say(`${mb(Number(result.resumed_bytes))} were already stored, ${mb(Number(result.sent_bytes))} were sent`);
  check(code === 0, 'the upload is complete');
  check(Number(result.resumed_bytes) >= stored, 'no byte of the first run was sent again');
  return running;
}

/** Downloads each range separately, four at a time, and joins them in order. */
async function downloadByRanges({ size, sha256 }: Content): Promise<void> {
  const began = performance.now();
  const each = Math.ceil(size / RANGES);
  const parts: Buffer[] = [];
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < RANGES; index = next++) {
      const range = { start: index * each, end: Math.min((index + 1) * each, size) - 1 };
      parts[index] = await collect((await client.download(NAME, { range })).body);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  say(`${RANGES} ranges of ${mb(each)}, four at a time: ${seconds(began)}`);
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  check(hash.digest('hex') === sha256, 'joined, they have the SHA-256 of the local file');
  const tail = await collect((await client.download(NAME, { range: { suffix: 1000 } })).body);
  check(tail.equals(slice(source, size - 1000, size - 1)), 'bytes=-1000 returns the last 1000 bytes');
}

async function downloadWithCommand({ size, sha256 }: Content): Promise<void> {
  const target = join(directory, 'returned.bin');
  const began = performance.now();
  const { code } = await lading('download', NAME, '--output', target).finished;
  say(`lading download ${NAME} --output ${target}: ${seconds(began)}`);
  check(code === 0 && sha256Of(target, size) === sha256, 'the downloaded file has the SHA-256 of the local file');
}

async function verify(content: Content): Promise<void> {
  const began = performance.now();
  const { code, lines } = await lading('verify', NAME).finished;
  const checked = Number(lines.at(-1)?.checked_bytes);
  say(`lading verify ${NAME}: the server reread ${mb(checked)} in ${seconds(began)}`);
  check(code === 0 && checked === content.size, 'every stored byte matches the CRC-32 that was recorded on arrival');
  const status = await client.status(NAME);
  check(
    status.crc32 === content.crc32,
    `CRC-32 of the stored file: ${status.crc32}, of the local file: ${content.crc32}`,
  );
}

async function runDemo(size: number): Promise<void> {
  step('Create a file of random bytes');
  const content = makeFile(source, size);
  say(`${mb(size)}, SHA-256 ${content.sha256}`);
  step('Start the server');
  let server = await startServer();
  step('Upload it, and kill the server halfway with SIGKILL');
  const { before, args } = await interruptedUpload(size, server);
  step('Start the server again and get the status');
  server = await startServer();
  const after = await client.status(NAME);
  say(`${after.status}: ${mb(after.bytes_received)} received, ${missing(after)}`);
  check(within(after.missing, before.missing), 'all acknowledged bytes are stored');
  step('Read a range while half of the file is missing');
  await readWhileIncomplete(after);
  step('Run the same command again, and kill the server once more');
  server = await resumedUpload(args, size, after.bytes_received, server);
  step('Download it by ranges');
  await downloadByRanges(content);
  step('Download it with the command line');
  await downloadWithCommand(content);
  step('Have the server verify the stored file');
  await verify(content);
  step('Stop the server with SIGTERM');
  await stopChild(server, 'SIGTERM', 30_000);
  check(server.exitCode === 0, `exit code ${server.exitCode}`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { size: { type: 'string', default: '200' } } });
  const size = Math.round(Number(values.size) * MB);
  if (!(size >= 4 * MB)) throw new RangeError('--size is the size of the file in MB, at least 4');
  process.stdout.write('Lading demo: upload a file to a server that is killed twice, and get every byte back.\n');
  await runDemo(size);
  if (failures.length === 0) {
    process.stdout.write('\nAll comparisons succeeded.\n');
    return 0;
  }
  process.stdout.write(`\n${failures.length} comparisons failed:\n`);
  for (const what of failures) say(what);
  return 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
    process.exit(2);
  },
);
