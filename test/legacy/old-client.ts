/** HTTP as programs of older servers use it: the client of Node, one persistent connection, no fields of browsers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import type { HandClock } from '../support/product/clock.ts';
import { atEnd, type TestServer } from '../support/product/server.ts';
import { repoRoot } from '../support/root.ts';
import { pythonWith } from '../support/servers/python.ts';

export interface OldReply {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  text: string;
  /** The body as a JSON object. Fails if it is not one. */
  json: Record<string, unknown>;
}

export interface Sent {
  headers?: Record<string, string>;
  body?: Buffer | string | undefined;
}

export type Ask = (method: string, path: string, sent?: Sent) => Promise<OldReply>;

/** Opens a connection. @param certificate a self-signed certificate to trust */
export async function connectTo(t: TestContext, origin: string, certificate?: string): Promise<Ask> {
  const secure = origin.startsWith('https:');
  const ca = certificate === undefined ? undefined : await readFile(certificate);
  const agent = secure
    ? new TlsAgent({ keepAlive: true, maxSockets: 1, ca })
    : new Agent({ keepAlive: true, maxSockets: 1 });
  atEnd(t, async () => agent.destroy());
  return (method, path, { headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const options = {
        method,
        headers: body === undefined ? headers : { 'content-length': Buffer.byteLength(body), ...headers },
      };
      const onResponse = (response: import('node:http').IncomingMessage): void => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          const whole = Buffer.concat(pieces);
          const { statusCode: status = 0 } = response;
          resolve({
            ...{ status, headers: response.headers, body: whole, text: whole.toString('utf8') },
            get json() {
              const value: unknown = JSON.parse(whole.toString('utf8'));
              assert.ok(typeof value === 'object' && value !== null, whole.toString('utf8'));
              return value as Record<string, unknown>;
            },
          });
        });
      };
      const url = new URL(path, origin);
      const sentRequest = secure
        ? tlsRequest(url, { ...options, agent: agent as TlsAgent }, onResponse)
        : request(url, { ...options, agent: agent as Agent }, onResponse);
      sentRequest.on('error', reject);
      sentRequest.end(body);
    });
}

/** Encodes a form as `application/x-www-form-urlencoded`. */
export function urlencoded(fields: Record<string, string>): Sent {
  return {
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  };
}

export interface FormFile {
  field: string;
  name: string;
  bytes: Uint8Array;
}

/** Encodes a form as `multipart/form-data`, with at most one file. */
export function multipart(fields: Record<string, string>, file?: FormFile): Sent & { body: Buffer } {
  const boundary = '----OldClient7d93b2';
  const head = (more: string): string => `--${boundary}\r\nContent-Disposition: form-data; ${more}\r\n\r\n`;
  const pieces = Object.entries(fields).map(([name, value]) => Buffer.from(`${head(`name="${name}"`)}${value}\r\n`));
  if (file) {
    pieces.push(Buffer.from(head(`name="${file.field}"; filename="${file.name}"`)), Buffer.from(file.bytes));
    pieces.push(Buffer.from('\r\n'));
  }
  const body = Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
  return { headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body };
}

/** Advances the clock without any request, and sweeps once. */
export async function pause({ app }: TestServer, clock: HandClock, seconds: number): Promise<void> {
  clock.pass(seconds * 1000);
  await app.engine.sweep();
}

/**
 * Runs a day of a program that uses Python's `requests`. The script gets the address of the server and its arguments, prints `pause SECONDS`
 * and reads a line instead of waiting for hours, and exits with 0 on success.
 * @returns false, after a diagnostic, without Python or a package index
 */
export async function pythonDay(
  t: TestContext,
  server: TestServer,
  clock: HandClock,
  script: string,
  args: readonly string[],
): Promise<boolean> {
  const python = await pythonWith(['requests==2.32.5']);
  if ('missing' in python) {
    t.skip(python.missing);
    return false;
  }
  const child: ChildProcess = spawn(
    join(python.programs, 'python'),
    [join(repoRoot(), 'test', 'legacy', 'days', script), server.origin, ...args],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env.PATH ?? '', NO_PROXY: '*' } },
  );
  atEnd(t, async () => void child.kill('SIGKILL'));
  const output: string[] = [];
  child.stderr?.on('data', (piece: Buffer) => output.push(piece.toString()));
  const exited = once(child, 'close');
  if (!child.stdout || !child.stdin) throw new Error('the script has no streams');
  for await (const line of createInterface(child.stdout)) {
    const [, seconds] = /^pause (\d+)$/.exec(line) ?? [];
    if (seconds === undefined) {
      output.push(`${line}\n`);
      continue;
    }
    await pause(server, clock, Number(seconds));
    child.stdin.write('\n');
  }
  const [code] = (await exited) as [number | null];
  assert.equal(code, 0, output.join(''));
  return true;
}
