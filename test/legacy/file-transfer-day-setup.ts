/** A device of the older file transfer. */
import assert from 'node:assert/strict';
import { encodeChunkHeader, sum256 } from '../../src/protocol/chunk.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import type { Account } from '../support/product/server.ts';
import { type Ask, multipart, type OldReply, type Sent, urlencoded } from './old-client.ts';

/** A client as it was written for the older server. It uses no later feature. */
export class Device {
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

  /** Sends a request, and signs in again if the token expired. */
  async ask(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<OldReply> {
    const send = (): Promise<OldReply> =>
      this.#ask(method, path, { headers: { ...headers, authorization: `Bearer ${this.#token}` }, body });
    const reply = await send();
    if (reply.status !== 401) return reply;
    assert.equal(typeof reply.json.detail, 'string');
    await this.signIn();
    return send();
  }

  /** Sends one chunk, with a Content-Range field that is not a valid range, as these devices do. */
  chunk(name: string, start: number, data: Uint8Array, checksum = sum256(data)): Promise<OldReply> {
    const header = encodeChunkHeader({ start, end: start + Math.max(data.length, 1) - 1, checksum });
    const { headers, body } = multipart({}, { field: 'file', name: 'chunk', bytes: Buffer.concat([header, data]) });
    const path = `/api/files/upload?filename=${encodeURIComponent(name)}`;
    return this.ask('POST', path, { headers: { ...headers, 'content-range': `chunk ${start}` }, body });
  }

  /** Sends a file in chunks, in order. */
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
