/**
 * `npm run demo`: the whole story with real processes. A server, the command line as the device, a large file, and two sudden deaths of
 * the server in the middle of it. Prints what happened and exits with 0 only when every comparison agreed.
 */
import type { ChildProcess } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { LadingError } from '../src/client/client.ts';
import { connect, fastCrc32 } from '../src/client/node.ts';
import { hex32 } from '../src/protocol/crc32.ts';
import type { FileStatus } from '../src/protocol/schemas/files.ts';
import { freePort, killAll, sleep, start, stopChild, waitUntil } from './process.ts';

const SERVER = fileURLToPath(new URL('../src/main.js', import.meta.url));
const CLI = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const NAME = 'demo/random.bin';
const ID = 'demo';
const SECRET = 'secret-of-a-demo-that-lasts-a-minute';
const MB = 1e6;
const PIECE = 4 * MB;
/** Small chunks over two connections: slow enough to be interrupted, and many chunks to remember. */
const CHUNK_SIZES = ['1MiB', '256KiB', '64KiB'];
const RANGES = 25;

const folder = mkdtempSync(join(tmpdir(), 'lading-demo-'));
const source = join(folder, 'random.bin');
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
/** A demo is the same everywhere: settings of the shell it is started from do not count (an empty one is none). */
const cleared = Object.fromEntries(
  Object.keys(process.env).flatMap((name) => (name.startsWith('LADING_') ? [[name, '']] : [])),
);

// ---------------------------------------------------------------- what is printed

let steps = 0;
const disagreements: string[] = [];

function step(title: string): void {
  steps += 1;
  process.stdout.write(`\n${String(steps).padStart(2)}  ${title}\n`);
}

function say(line: string): void {
  process.stdout.write(`    ${line}\n`);
}

function agree(ok: boolean, what: string): void {
  say(`${ok ? 'ok ' : 'NO '} ${what}`);
  if (!ok) disagreements.push(what);
}

function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`;
}

function missing({ missing, missing_more: more }: FileStatus): string {
  const bytes = missing.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return `${mb(bytes)} missing in ${missing.length}${more ? '+' : ''} ${missing.length === 1 ? 'gap' : 'gaps'}`;
}

/** True when nothing is missing now that was there before. */
function within(now: [number, number][], before: [number, number][]): boolean {
  return now.every(([first, last]) => before.some(([from, to]) => from <= first && last <= to));
}

// ---------------------------------------------------------------- the file

interface Content {
  size: number;
  sha256: string;
  crc32: string;
}

function makeFile(size: number): Content {
  const crcOf = fastCrc32();
  const hash = createHash('sha256');
  let crc = 0;
  const fd = openSync(source, 'w');
  for (let left = size; left > 0; left -= PIECE) {
    const piece = randomFillSync(Buffer.alloc(Math.min(PIECE, left)));
    writeSync(fd, piece);
    hash.update(piece);
    crc = crcOf(piece, crc);
  }
  closeSync(fd);
  return { size, sha256: hash.digest('hex'), crc32: hex32(crc) };
}

/** The bytes `first` to `last`, inclusive, of a local file. */
function slice(path: string, first: number, last: number): Buffer {
  const bytes = Buffer.alloc(last - first + 1);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, bytes.length, first);
  closeSync(fd);
  return bytes;
}

function sha256Of(path: string, size: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < size; at += PIECE) hash.update(slice(path, at, Math.min(at + PIECE, size) - 1));
  return hash.digest('hex');
}

// ---------------------------------------------------------------- the processes

async function startServer(): Promise<ChildProcess> {
  const began = performance.now();
  const settings = {
    ...cleared,
    LADING_HOST: '127.0.0.1',
    LADING_PORT: String(port),
    LADING_DATA_DIR: join(folder, 'data'),
    LADING_ADMIN_ID: ID,
    LADING_ADMIN_SECRET: SECRET,
    LADING_LOG_LEVEL: 'fatal',
  };
  const server = start(process.execPath, [SERVER], settings, ['ignore', 'ignore', 'inherit']);
  await waitUntil(async () => (await fetch(`${url}/ready`)).ok, server, 120_000);
  say(`process ${server.pid} listens on ${url}, ready after ${seconds(began)}`);
  return server;
}

/** No warning, no goodbye: what `kill -9` or the out-of-memory killer does. */
async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

interface Command {
  child: ChildProcess;
  /** Exit code (null after a signal) and the JSON lines of standard output. */
  finished: Promise<{ code: number | null; lines: Record<string, unknown>[] }>;
}

function lading(...args: string[]): Command {
  const settings = {
    ...cleared,
    LADING_SERVER: url,
    LADING_CLIENT_ID: ID,
    LADING_CLIENT_SECRET: SECRET,
    LADING_CONFIG: join(folder, 'no-config.json'),
  };
  const child = start(process.execPath, [CLI, ...args, '--json'], settings, ['ignore', 'pipe', 'inherit']);
  const finished = Promise.all([child.stdout ? text(child.stdout) : '', once(child, 'close')]).then(([printed]) => ({
    code: child.exitCode,
    lines: printed
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>),
  }));
  return { child, finished };
}

const client = connect({ server: url, clientId: ID, clientSecret: SECRET });

/** Looks until so many bytes are acknowledged, or the command is over; the last status. */
async function untilReceived(bytes: number, command: Command): Promise<FileStatus> {
  for (;;) {
    const status = await client.status(NAME);
    if (status.bytes_received >= bytes || command.child.exitCode !== null) return status;
    await sleep(2);
  }
}

// ---------------------------------------------------------------- the story

/** Uploads until half of the file is acknowledged, then ends both sides without warning. What was acknowledged by then. */
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
      say('the command is killed too: neither side has anything left in memory');
      return { before, args };
    }
    await upload.finished;
    say('it was over before it could be interrupted: once more, in smaller chunks');
    await client.remove(NAME);
  }
  throw new Error('this machine is too fast for a file of this size; try again with a larger --size');
}

async function readWhileIncomplete({ missing: [gap] }: FileStatus): Promise<void> {
  const first = 1_000_000;
  const last = first + MB - 1;
  const download = await client.download(NAME, { range: { start: first, end: last } });
  const bytes = await collect(download.body);
  say(`bytes ${first}-${last}: 206, of a file of ${download.size} bytes that is not complete`);
  agree(bytes.equals(slice(source, first, last)), 'they are those of the local file');
  if (gap === undefined) throw new Error('nothing is missing');
  const refused = await client.download(NAME, { range: { start: gap[0], end: gap[1] } }).then(
    (download) => {
      download.discard();
      return null;
    },
    (error: unknown) => error,
  );
  const code = refused instanceof LadingError ? refused.code : 'answered';
  agree(code === 'not_complete', `bytes ${gap[0]}-${gap[1]}, which have not arrived: ${code}`);
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The same command again; the server dies a second time and the command goes on by itself. */
async function resumedUpload(args: string[], size: number, had: number, server: ChildProcess): Promise<ChildProcess> {
  const began = performance.now();
  const upload = lading(...args);
  const status = await untilReceived(size * 0.75, upload);
  let running = server;
  if (status.status === 'partial') {
    await kill(server);
    say(`server killed again at ${mb(status.bytes_received)}; the command is left alone`);
    running = await startServer();
  }
  const { code, lines } = await upload.finished;
  const result = lines.at(-1) ?? {};
  say(`the command ended by itself after ${seconds(began)}, exit code ${code}`);
  say(`it found ${mb(Number(result.resumed_bytes))} there and got ${mb(Number(result.sent_bytes))} acknowledged`);
  agree(code === 0, 'the upload is complete');
  agree(Number(result.resumed_bytes) >= had, 'nothing was sent again that the first run had brought');
  return running;
}

/** Every range on its own, four at a time, put together in order. */
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
  agree(hash.digest('hex') === sha256, 'put together they have the SHA-256 of the local file');
  const tail = await collect((await client.download(NAME, { range: { suffix: 1000 } })).body);
  agree(tail.equals(slice(source, size - 1000, size - 1)), 'the last 1000 bytes (bytes=-1000) are the last 1000 bytes');
}

async function downloadWithCommand({ size, sha256 }: Content): Promise<void> {
  const target = join(folder, 'returned.bin');
  const began = performance.now();
  const { code } = await lading('download', NAME, '--output', target).finished;
  say(`lading download ${NAME} --output ${target}: ${seconds(began)}`);
  agree(
    code === 0 && sha256Of(target, size) === sha256,
    'the file that came back has the SHA-256 of the one that was sent',
  );
}

async function verify(content: Content): Promise<void> {
  const began = performance.now();
  const { code, lines } = await lading('verify', NAME).finished;
  const checked = Number(lines.at(-1)?.checked_bytes);
  say(`lading verify ${NAME}: the server read ${mb(checked)} again in ${seconds(began)}`);
  agree(code === 0 && checked === content.size, 'every stored byte has the CRC-32 that was recorded when it came');
  const status = await client.status(NAME);
  agree(
    status.crc32 === content.crc32,
    `CRC-32 of the whole file: ${status.crc32}, the local file's is ${content.crc32}`,
  );
}

async function story(size: number): Promise<void> {
  step('Make a file of random bytes');
  const content = makeFile(size);
  say(`${mb(size)}, SHA-256 ${content.sha256}`);
  step('Start the server');
  let server = await startServer();
  step('Upload it, and kill the server half way with SIGKILL');
  const { before, args } = await interruptedUpload(size, server);
  step('Start the server again and ask what it has');
  server = await startServer();
  const after = await client.status(NAME);
  say(`${after.status}: ${mb(after.bytes_received)} received, ${missing(after)}`);
  agree(within(after.missing, before.missing), 'everything that was acknowledged is there');
  step('Read a range although half of the file is missing');
  await readWhileIncomplete(after);
  step('Run the same command again, and kill the server once more under it');
  server = await resumedUpload(args, size, after.bytes_received, server);
  step('Download it by ranges');
  await downloadByRanges(content);
  step('Download it with the command line');
  await downloadWithCommand(content);
  step('Have the server check what it stored');
  await verify(content);
  step('Stop the server with SIGTERM');
  await stopChild(server, 'SIGTERM', 30_000);
  agree(server.exitCode === 0, `exit code ${server.exitCode}`);
}

process.once('exit', () => {
  killAll();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { size: { type: 'string', default: '200' } } });
  const size = Math.round(Number(values.size) * MB);
  if (!(size >= 4 * MB)) throw new RangeError('--size is the size of the file in MB, at least 4');
  process.stdout.write('Lading, the whole story: a file, a server that dies twice, and every byte back.\n');
  await story(size);
  if (disagreements.length === 0) {
    process.stdout.write('\nEverything agreed.\n');
    return 0;
  }
  process.stdout.write(`\n${disagreements.length} of the comparisons did not agree:\n`);
  for (const what of disagreements) say(what);
  return 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
    process.exit(2);
  },
);
