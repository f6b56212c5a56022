/**
 * The requests of clients that are older than this server. They know the form upload, the status, ranges and deletion, and never declare the
 * size of a file.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunkHeader, sum256 } from '../../src/protocol/chunk.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import type { TokenReply } from '../../src/protocol/schemas/identity/sign-in.ts';
import type { Problem } from '../../src/protocol/schemas/problem.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { ALPHABET, seen } from './file-transfer-setup.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

class LegacyClient {
  readonly #origin: string;
  readonly #token: string;

  constructor(origin: string, token: string) {
    this.#origin = origin;
    this.#token = token;
  }

  /** Signs in with an OAuth 2 password grant. */
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

  /** Uploads one chunk as the part `file` of a form. */
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

test('a file of one chunk can be uploaded, listed, read in ranges and deleted', async (t) => {
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

test('a file that is sent in order is complete after each chunk and grows', async (t) => {
  const client = await LegacyClient.signIn(await startServer(t));
  for (let start = 0; start < 25; start += 5) {
    const reply = await client.upload('growing.bin', start, ALPHABET.subarray(start, start + 5));
    assert.equal(reply.status, 200);
    const end = start + 5;
    assert.deepEqual(seen((await reply.json()) as FileStatus), ['growing.bin', 'complete', end, end, end]);
    assert.equal(await (await client.download('growing.bin')).text(), ALPHABET.toString().slice(0, end));
  }
});

test('a file that is sent in reverse is partial and unreadable until the gap is closed', async (t) => {
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

test('a form without its part and a request without a name are refused with 422', async (t) => {
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
