/** A server in a process of its own, and a device that sends requests to it over HTTP. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Agent, type Dispatcher } from 'undici';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { crc32, hex32 } from '../../src/protocol/crc32.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { Lost, type Remote } from './remote.ts';

const MAIN = join(import.meta.dirname, '../../src/main.js');
const ADMIN = { id: 'crash-admin', secret: 'secret-of-the-administrator-of-crashes' };

/** An error reply. The devices of these tests send no request that a server may refuse unless the disk is full. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(`${status} ${code}: ${detail}`);
    this.status = status;
    this.code = code;
  }
}

/** A server process on a data directory. */
export class Child {
  readonly process: ChildProcess;
  /** Resolves with the URL once the server listens; rejects with `Lost` when it exits before. */
  readonly origin: Promise<string>;
  #errors = '';

  constructor(dataDir: string, settings: Record<string, string>) {
    const env = {
      PATH: process.env.PATH ?? '',
      LADING_HOST: '127.0.0.1',
      LADING_PORT: '0',
      LADING_DATA_DIR: dataDir,
      LADING_ADMIN_ID: ADMIN.id,
      LADING_ADMIN_SECRET: ADMIN.secret,
      LADING_LOG_LEVEL: 'warn',
      LADING_WORKERS: '1',
      ...settings,
    };
    this.process = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stderr?.on('data', (bytes: Buffer) => {
      this.#errors += bytes.toString();
    });
    this.origin = new Promise((resolve, reject) => {
      let output = '';
      this.process.stdout?.on('data', (bytes: Buffer) => {
        output += bytes.toString();
        const found = /listens on (http:\S+)/.exec(output);
        if (found?.[1]) resolve(found[1]);
      });
      this.process.once('close', () => reject(new Lost(`the server exited before it listened: ${this.#errors}`)));
    });
    this.origin.catch(() => {});
  }

  /** The log on standard error: empty with `LADING_LOG_LEVEL=warn` unless something is wrong. */
  get errors(): string {
    return this.#errors;
  }

  /** Sends the signal and waits for the process to exit. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const closed = once(this.process, 'close');
    this.process.kill(signal);
    await closed;
  }
}

/** A device with several connections. */
export class Device implements Remote {
  readonly #origin: string;
  readonly #agent = new Agent({ connections: 8, pipelining: 1 });
  readonly #answered: () => void;
  #token = '';
  /** The number of requests without an answer. */
  inFlight = 0;

  /** @param answered called after every answer */
  constructor(origin: string, answered: () => void = () => {}) {
    this.#origin = origin;
    this.#answered = answered;
  }

  async signIn(): Promise<void> {
    const reply = await this.#ask<{ access_token: string }>('POST', '/auth/token', {
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ username: ADMIN.id, password: ADMIN.secret }).toString(),
    });
    this.#token = reply.access_token;
  }

  /** The header fields of other requests with the same access token. */
  get headers(): { authorization: string } {
    return { authorization: `Bearer ${this.#token}` };
  }

  send(
    name: string,
    start: number,
    bytes: Uint8Array,
    { declaredSize, overwrite }: { declaredSize: number | null; overwrite: boolean },
  ): Promise<FileStatus> {
    const query = new URLSearchParams({ filename: name });
    if (declaredSize !== null) query.set('total_size', String(declaredSize));
    if (overwrite) query.set('overwrite', 'true');
    const headers = { 'content-type': 'application/octet-stream', 'x-chunk-crc32': hex32(crc32(bytes)) };
    return this.#ask('POST', `/api/files/upload?${query}`, { headers, body: Buffer.from(encodeChunk(start, bytes)) });
  }

  status(name: string): Promise<FileStatus> {
    return this.#ask('GET', `/api/files/status/${name}`);
  }

  complete(name: string): Promise<FileStatus> {
    return this.#ask('POST', `/api/files/complete/${name}`);
  }

  async remove(name: string): Promise<boolean> {
    try {
      await this.#ask('DELETE', `/api/files/${name}`);
      return true;
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return false;
      throw error;
    }
  }

  put(name: string, bytes: Uint8Array): Promise<FileStatus> {
    return this.#ask('PUT', `/api/files/content/${name}`, { body: Buffer.from(bytes) });
  }

  async cancel(name: string): Promise<boolean> {
    try {
      await this.#ask('DELETE', `/api/files/${name}?upload=only`);
      return true;
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return false;
      throw error;
    }
  }

  async sweep(): Promise<void> {
    await this.#ask('POST', '/api/sweep');
  }

  async read(name: string, start: number, end: number): Promise<Buffer | null> {
    const { status, bytes } = await this.#request('GET', `/api/files/download/${name}`, {
      headers: { range: `bytes=${start}-${end}` },
    });
    return status === 206 && bytes.length === end - start + 1 ? bytes : null;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask<T>(method: Dispatcher.HttpMethod, path: string, options: RequestOptions = {}): Promise<T> {
    const { status, bytes } = await this.#request(method, path, options);
    const body = JSON.parse(bytes.toString());
    if (status >= 400) throw new Refusal(status, body.code, body.detail);
    return body;
  }

  async #request(
    method: Dispatcher.HttpMethod,
    path: string,
    options: RequestOptions,
  ): Promise<{ status: number; bytes: Buffer }> {
    const headers = { ...options.headers, ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}) };
    const body = options.body ?? null;
    this.inFlight += 1;
    try {
      const reply = await this.#agent.request({ origin: this.#origin, path, method, headers, body });
      const bytes = Buffer.from(await reply.body.arrayBuffer());
      this.#answered();
      return { status: reply.statusCode, bytes };
    } catch (error) {
      throw new Lost('no answer', { cause: error });
    } finally {
      this.inFlight -= 1;
    }
  }
}

interface RequestOptions {
  headers?: Record<string, string>;
  body?: Buffer | string;
}
