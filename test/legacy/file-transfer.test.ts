/**
 * A legacy client's day: the requests of the clients that were there before this server, as they send them. They know the form
 * upload, the status, ranges and deletion, and never say how large a file is.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { encodeChunkHeader, sum256 } from '../../src/protocol/chunk.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import type { TokenReply } from '../../src/protocol/schemas/identity/sign-in.ts';
import type { Problem } from '../../src/protocol/schemas/problem.ts';
import { type HandClock, handClock } from '../support/product/clock.ts';
import { type Account, startServer, type TestServer } from '../support/product/server.ts';
import { startNginx } from '../support/servers/nginx.ts';
import { hasNginx } from '../support/servers/plain-nginx.ts';
import {
  type Ask,
  connectTo,
  multipart,
  type OldReply,
  pause,
  pythonDay,
  type Sent,
  urlencoded,
} from './old-client.ts';

// The certificate of the proxy is made for these tests; nobody signed it.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ');

class LegacyClient {
  readonly #origin: string;
  readonly #token: string;

  constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#token = token;
  }

  /** Signs in with the form of OAuth 2's password grant. */
  static async signIn(server: TestServer): Promise<LegacyClient> {
    const { id, secret } = server.client;
    const body = new URLSearchParams({ grant_type: 'password', username: id, password: secret });
    const reply = await fetch(`${server.origin}/auth/token`, { method: 'POST', body });
    assert.equal(reply.status, 200);
    const { access_token, token_type } = (await reply.json()) as TokenReply;
    assert.equal(token_type, 'bearer');
    return new LegacyClient(server.origin, access_token);
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#origin}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${this.#token}`, ...(init.headers ?? {}) },
    });
  }

  /** One chunk as the part `file` of a form. */
  upload(name: string, start: number, data: Uint8Array, checksum = sum256(data)): Promise<Response> {
    const form = new FormData();
    const header = encodeChunkHeader({ start, end: start + data.length - 1, checksum });
    form.append('file', new Blob([header, new Uint8Array(data)]), 'chunk.bin');
    return this.request(`/api/files/upload?filename=${encodeURIComponent(name)}`, { method: 'POST', body: form });
  }

  async status(name: string): Promise<FileStatus> {
    const reply = await this.request(`/api/files/status/${encodeURIComponent(name)}`);
    assert.equal(reply.status, 200);
    return (await reply.json()) as FileStatus;
  }

  download(name: string, range?: string): Promise<Response> {
    return this.request(`/api/files/download/${encodeURIComponent(name)}`, range ? { headers: { range } } : {});
  }
}

/** The five keys that these clients read. */
function seen({ filename, status, bytes_received, total_bytes, next_expected_byte }: FileStatus): unknown[] {
  return [filename, status, bytes_received, total_bytes, next_expected_byte];
}

test('a file of one chunk: status before, upload, status after, listing, a range, deletion, pending again', async (t) => {
  const client = await LegacyClient.signIn(await startServer(t));
  assert.deepEqual(seen(await client.status('alphabet.txt')), ['alphabet.txt', 'pending', 0, null, 0]);

  const refused = await client.upload('alphabet.txt', 0, ALPHABET, (sum256(ALPHABET) + 1) & 0xff);
  assert.equal(refused.status, 400);
  assert.match(((await refused.json()) as Problem).detail, /Checksum validation failed/);
  assert.deepEqual(seen(await client.status('alphabet.txt')), ['alphabet.txt', 'pending', 0, null, 0]);

  const stored = await client.upload('alphabet.txt', 0, ALPHABET);
  assert.equal(stored.status, 200);
  assert.deepEqual(seen((await stored.json()) as FileStatus), ['alphabet.txt', 'complete', 26, 26, 26]);
  assert.deepEqual(seen(await client.status('alphabet.txt')), ['alphabet.txt', 'complete', 26, 26, 26]);

  const listing = (await (await client.request('/api/files')).json()) as { files: FileStatus[] };
  assert.deepEqual(listing.files.map(seen), [['alphabet.txt', 'complete', 26, 26, 26]]);

  const part = await client.download('alphabet.txt', 'bytes=5-15');
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), 'bytes 5-15/26');
  assert.equal(await part.text(), 'FGHIJKLMNOP');
  assert.equal(await (await client.download('alphabet.txt')).text(), ALPHABET.toString());

  const deleted = await client.request('/api/files/alphabet.txt', { method: 'DELETE' });
  assert.equal(deleted.status, 200);
  assert.equal(typeof ((await deleted.json()) as { detail: unknown }).detail, 'string');
  assert.deepEqual(seen(await client.status('alphabet.txt')), ['alphabet.txt', 'pending', 0, null, 0]);
  assert.equal((await client.request('/api/files/alphabet.txt', { method: 'DELETE' })).status, 404);
});

test('chunks in natural order: the file reads as complete after each and grows', async (t) => {
  const client = await LegacyClient.signIn(await startServer(t));
  for (let start = 0; start < 25; start += 5) {
    const reply = await client.upload('growing.bin', start, ALPHABET.subarray(start, start + 5));
    assert.equal(reply.status, 200);
    const end = start + 5;
    assert.deepEqual(seen((await reply.json()) as FileStatus), ['growing.bin', 'complete', end, end, end]);
    assert.equal(await (await client.download('growing.bin')).text(), ALPHABET.toString().slice(0, end));
  }
});

test('the last chunk first: partial until the gap is closed, readable only then', async (t) => {
  const client = await LegacyClient.signIn(await startServer(t));
  await client.upload('backwards.bin', 20, ALPHABET.subarray(20));
  assert.deepEqual(seen(await client.status('backwards.bin')), ['backwards.bin', 'partial', 6, 26, 0]);
  assert.equal((await client.download('backwards.bin')).status, 404);
  await client.upload('backwards.bin', 10, ALPHABET.subarray(10, 20));
  assert.deepEqual(seen(await client.status('backwards.bin')), ['backwards.bin', 'partial', 16, 26, 0]);
  assert.deepEqual((await client.status('backwards.bin')).missing, [[0, 9]]);
  await client.upload('backwards.bin', 0, ALPHABET.subarray(0, 10));
  assert.deepEqual(seen(await client.status('backwards.bin')), ['backwards.bin', 'complete', 26, 26, 26]);
  assert.equal(await (await client.download('backwards.bin')).text(), ALPHABET.toString());
});

test('a form without the part or a request without the name is told what is missing', async (t) => {
  const client = await LegacyClient.signIn(await startServer(t));
  const form = new FormData();
  form.append('other', 'text');
  const noPart = await client.request('/api/files/upload?filename=x', { method: 'POST', body: form });
  assert.equal(noPart.status, 422);
  assert.equal(((await noPart.json()) as Problem).code, 'validation_failed');
  const chunk = new FormData();
  chunk.append('file', new Blob([encodeChunkHeader({ start: 0, end: 0, checksum: 65 }), new Uint8Array([65])]));
  const noName = await client.request('/api/files/upload', { method: 'POST', body: chunk });
  assert.equal(noName.status, 422);
  assert.match(((await noName.json()) as Problem).detail, /filename/);
});

// ---------------------------------------------------------------- a day

const HOUR = 3600;
const DAY = 24 * HOUR;

/** A device as it was written for the older server: it knows what it was told then and nothing of what came since. */
class Device {
  readonly #ask: Ask;
  readonly #account: { username: string; password: string };
  #token = '';

  constructor(ask: Ask, { id, secret }: Account) {
    this.#ask = ask;
    this.#account = { username: id, password: secret };
  }

  async signIn(form = urlencoded): Promise<void> {
    const reply = await this.#ask('POST', '/auth/token', form(this.#account));
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.token_type, 'bearer');
    this.#token = String(reply.json.access_token);
  }

  /** Signs in anew when it has to, as it always did. */
  async ask(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<OldReply> {
    const send = (): Promise<OldReply> =>
      this.#ask(method, path, { headers: { ...headers, authorization: `Bearer ${this.#token}` }, body });
    const reply = await send();
    if (reply.status !== 401) return reply;
    assert.equal(typeof reply.json.detail, 'string');
    await this.signIn();
    return send();
  }

  /** One chunk, and a word of its own on where it belongs, as its header has never been a range. */
  chunk(name: string, start: number, data: Uint8Array, checksum = sum256(data)): Promise<OldReply> {
    const header = encodeChunkHeader({ start, end: start + Math.max(data.length, 1) - 1, checksum });
    const { headers, body } = multipart({}, { field: 'file', name: 'chunk', bytes: Buffer.concat([header, data]) });
    const path = `/api/files/upload?filename=${encodeURIComponent(name)}`;
    return this.ask('POST', path, { headers: { ...headers, 'content-range': `chunk ${start}` }, body });
  }

  /** A file, one chunk after another. */
  async send(name: string, data: Buffer, size = 1000): Promise<void> {
    for (let start = 0; start < data.length; start += size) {
      const reply = await this.chunk(name, start, data.subarray(start, start + size));
      assert.equal(reply.status, 200, reply.text);
    }
  }

  async status(name: string): Promise<Record<string, unknown>> {
    const reply = await this.ask('GET', `/api/files/status/${encodeURIComponent(name)}`);
    assert.equal(reply.status, 200);
    return reply.json;
  }

  async read(name: string): Promise<string> {
    const reply = await this.ask('GET', `/api/files/download/${encodeURIComponent(name)}`);
    assert.equal(reply.status, 200, reply.text);
    return reply.text;
  }

  async names(): Promise<string[]> {
    const reply = await this.ask('GET', '/api/files/');
    assert.equal(reply.status, 200);
    assert.equal(reply.json.next_cursor, null);
    return (reply.json.files as FileStatus[]).map(({ filename }) => filename);
  }
}

const MORNING = Buffer.from('morning '.repeat(500));

/** What works with every server, whatever its settings. */
async function liveADay(device: Device, server: TestServer, clock: HandClock): Promise<void> {
  await device.signIn();
  await device.signIn((fields) => multipart(fields));

  assert.equal((await device.status('morning.log')).status, 'pending');
  assert.deepEqual(await device.names(), []);
  const refused = await device.chunk('morning.log', 0, MORNING.subarray(0, 1000), 0);
  assert.equal(refused.status, 400);
  assert.match(String(refused.json.detail), /Checksum validation failed/);

  // It pauses for a while, for longer than the server waits for more, for longer than an upload counts as open.
  await device.send('morning.log', MORNING.subarray(0, 1000));
  const { id } = await device.status('morning.log');
  for (const [seconds, start] of [
    [10, 1000],
    [2 * HOUR, 2000],
    [3 * DAY, 3000],
  ] as const) {
    await pause(server, clock, seconds);
    assert.deepEqual(seen((await device.status('morning.log')) as never), [
      'morning.log',
      'complete',
      start,
      start,
      start,
    ]);
    const reply = await device.chunk('morning.log', start, MORNING.subarray(start, start + 1000));
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.id, id);
  }
  assert.equal(await device.read('morning.log'), MORNING.toString());

  // An upload with a gap is parked, not deleted.
  await device.chunk('gap.bin', 500, ALPHABET);
  await pause(server, clock, 2 * DAY);
  const parked = await device.status('gap.bin');
  assert.deepEqual(seen(parked as never), ['gap.bin', 'partial', 26, 526, 0]);
  assert.equal(parked.stale, true);
  assert.ok((await device.names()).includes('gap.bin'));
  const part = await device.ask('GET', '/api/files/download/gap.bin', { headers: { range: 'bytes=500-502' } });
  assert.equal(part.text, 'ABC');
  await device.send('gap.bin', Buffer.alloc(500, '.'));
  assert.equal(await device.read('gap.bin'), '.'.repeat(500) + ALPHABET.toString());
}

async function endTheDay(device: Device): Promise<void> {
  assert.equal((await device.ask('DELETE', '/api/files/gap.bin')).status, 200);
  assert.equal((await device.ask('DELETE', '/api/files/gap.bin')).status, 404);
  assert.ok(!(await device.names()).includes('gap.bin'));
}

const PROXIED = { LADING_TRUST_PROXY: 'loopback' };

const REPORTS = [
  'all is well on Monday\n',
  'two lamps are out on Tuesday, all else is well\n',
  'all is well on Friday\n',
];

const ways: [string, (t: TestContext, server: TestServer) => Promise<Ask> | null][] = [
  ['by itself', (t, { origin }) => connectTo(t, origin)],
  [
    'through the proxy of deploy/nginx.conf',
    (t, { port }) =>
      hasNginx ? startNginx(t, port).then(({ origin, certificate }) => connectTo(t, origin, certificate)) : null,
  ],
];

for (const [way, connect] of ways) {
  test(`a day of a device, ${way}, with the settings as they come`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, PROXIED, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    const device = new Device(ask, server.client);
    await liveADay(device, server, clock);

    // A daily report: the first one is stored, a repeat is welcome, another one is refused and changes nothing.
    const [monday = '', tuesday = ''] = REPORTS;
    await device.send('status.log', Buffer.from(monday));
    await device.send('status.log', Buffer.from(monday));
    await pause(server, clock, DAY);
    const refused = await device.chunk('status.log', 0, Buffer.from(tuesday));
    assert.equal(refused.status, 409);
    assert.equal(typeof refused.json.detail, 'string');
    assert.equal(await device.read('status.log'), monday);
    assert.equal((await device.chunk('empty.bin', 0, Buffer.alloc(0))).status, 400);
    assert.ok(!(await device.names()).includes('empty.bin'));
    await endTheDay(device);
  });

  test(`a day of a device, ${way}, with LADING_COMPAT=file-transfer`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, { ...PROXIED, LADING_COMPAT: 'file-transfer' }, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    const device = new Device(ask, server.client);
    await liveADay(device, server, clock);
    for (const seconds of [0, DAY]) {
      for (const report of REPORTS) {
        await device.send('status.log', Buffer.from(report), 16);
        assert.equal(await device.read('status.log'), report);
        assert.equal((await device.status('status.log')).bytes_received, report.length);
        await pause(server, clock, seconds);
      }
    }
    assert.equal((await device.names()).filter((name) => name === 'status.log').length, 1);

    const empty = await device.chunk('empty.bin', 0, Buffer.alloc(0));
    assert.equal(empty.status, 200, empty.text);
    assert.deepEqual(seen(empty.json as never), ['empty.bin', 'complete', 0, 0, 0]);
    assert.equal(await device.read('empty.bin'), '');
    await device.send('empty.bin', ALPHABET);
    assert.equal(await device.read('empty.bin'), ALPHABET.toString());
    assert.equal((await device.chunk('empty.bin', 0, Buffer.alloc(0))).status, 200);
    assert.equal(await device.read('empty.bin'), '');
    await endTheDay(device);
  });
}

test('3,000 files are listed at once, with and without the slash; with a limit by pages', async (t) => {
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const device = new Device(await connectTo(t, server.origin), server.client);
  const wanted: string[] = [];
  for (let n = 0; n < 3000; n += 1) {
    const name = `logs/${String(n).padStart(4, '0')}.log`;
    wanted.push(name);
    assert.equal((await device.chunk(name, 0, Buffer.from([n & 0xff]))).status, 200);
  }
  assert.deepEqual(await device.names(), wanted);
  const whole = await device.ask('GET', '/api/files');
  assert.equal((whole.json.files as unknown[]).length, 3000);
  assert.equal(whole.json.next_cursor, null);
  const page = await device.ask('GET', '/api/files?limit=7');
  assert.equal((page.json.files as unknown[]).length, 7);
  assert.equal(typeof page.json.next_cursor, 'string');
  const rest = await device.ask('GET', `/api/files?cursor=${page.json.next_cursor}`);
  assert.equal((rest.json.files as unknown[]).length, 2993);
  const some = await device.ask('GET', '/api/files?prefix=logs/29&status=complete');
  assert.equal((some.json.files as unknown[]).length, 100);
  assert.deepEqual((await device.ask('GET', '/api/files?status=partial')).json, { files: [], next_cursor: null });
});

test('an invalid Content-Range is ignored beside a form; a valid one must be the right one', async (t) => {
  const server = await startServer(t);
  const header = encodeChunkHeader({ start: 0, end: 25, checksum: sum256(ALPHABET) });
  const { headers = {}, body } = multipart({}, { field: 'file', name: 'c', bytes: Buffer.concat([header, ALPHABET]) });
  const ask = await connectTo(t, server.origin);
  const send = (range: string, to = '/api/files/upload?filename=a.bin'): Promise<OldReply> =>
    ask('POST', to, { headers: { ...headers, ...server.client.headers, 'content-range': range }, body });
  for (const range of ['0-25', 'bytes=0-25/26', 'bytes 0-25', 'chunk 1 of 3', '-', 'bytes */*', 'items 0-25/26']) {
    assert.equal((await send(range)).status, 200, range);
  }
  assert.equal((await send('bytes 0-25/26')).status, 200);
  for (const range of ['bytes 0-9/26', 'bytes 25-0/26', 'bytes 1-26/*'])
    assert.equal((await send(range)).status, 400, range);
  // Everywhere else it is refused, whatever it is.
  const raw = { ...server.client.headers, 'content-type': 'application/octet-stream', 'content-range': 'chunk 1' };
  const chunk = await ask('POST', '/api/files/upload?filename=b.bin', {
    headers: raw,
    body: Buffer.concat([header, ALPHABET]),
  });
  assert.equal(chunk.status, 400);
  assert.equal((await send('chunk 1', '/v1/audio/file')).status, 400);
});

test('a new version that comes while somebody reads the old one, and one that is deleted in its middle', async (t) => {
  const server = await startServer(t, { LADING_COMPAT: 'file-transfer' });
  const device = new Device(await connectTo(t, server.origin), server.client);
  const old = Buffer.from('0123456789'.repeat(300));
  await device.send('status.log', old);
  const before = await device.status('status.log');
  // The same beginning is a repeat: nothing changes.
  const repeat = await device.chunk('status.log', 0, old.subarray(0, 1000));
  assert.deepEqual((repeat.json.chunk as { duplicate: boolean }).duplicate, true);
  assert.equal((await device.status('status.log')).id, before.id);
  // Bytes that fail their checksum begin nothing.
  assert.equal((await device.chunk('status.log', 0, Buffer.from('new'), 1)).status, 400);
  assert.equal(await device.read('status.log'), old.toString());
  assert.equal((await device.chunk('status.log', 0, Buffer.from('new'))).status, 200);
  assert.notEqual((await device.status('status.log')).id, before.id);
  assert.equal((await device.chunk('status.log', 3, Buffer.from('er'))).status, 200);
  assert.equal(await device.read('status.log'), 'newer');
  assert.equal((await device.ask('DELETE', '/api/files/status.log')).status, 200);
  assert.equal((await device.status('status.log')).status, 'pending');
  // What was declared stays as strict as it is for everybody.
  const declared = await device.ask('PUT', '/api/files/content/whole.txt', { body: 'whole' });
  assert.equal(declared.status, 201, declared.text);
  assert.equal((await device.chunk('whole.txt', 2, Buffer.from('xx'))).status, 409);
  assert.equal(await device.read('whole.txt'), 'whole');
});

test('a day of a device by Python and requests', async (t) => {
  const clock = handClock(Date.now());
  const server = await startServer(t, {}, { clock });
  await pythonDay(t, server, clock, 'file_transfer_day.py', [server.client.id, server.client.secret]);
});

test('a day of a device by Python and requests, with LADING_COMPAT=file-transfer', async (t) => {
  const clock = handClock(Date.now());
  const server = await startServer(t, { LADING_COMPAT: 'file-transfer' }, { clock });
  await pythonDay(t, server, clock, 'file_transfer_day.py', [server.client.id, server.client.secret, 'compat']);
});
