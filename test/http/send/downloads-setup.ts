/** Shared functions of the tests of downloads. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type FileHandle, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerResponse } from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Reader } from '../../../src/contracts/blobs.ts';
import { LadingError } from '../../../src/errors.ts';
import { type DownloadOptions, Downloads } from '../../../src/http/send/downloads.ts';
import type { Outcome } from '../../../src/http/send/response-writer.ts';
import { type Piece, PiecesSource } from '../../../src/http/send/sources.ts';
import { eventually } from '../../support/eventually.ts';
import { content } from '../../support/product/device.ts';

export const MIB = 1024 ** 2;

export const DEFAULTS: DownloadOptions = { bytes: 8 * MIB, idleMs: 60_000 };

export interface Bench {
  pump: Downloads;
  port: number;
  bytes: Uint8Array;
  file: FileHandle;
  outcomes: Outcome[];
  refusals: LadingError[];
}

/** A server that answers every request with these pieces of a real file. */
export async function startBench(
  t: TestContext,
  options: Partial<DownloadOptions> & { bytesOfFile?: number; http2?: boolean; pieces?: Piece[] } = {},
): Promise<Bench> {
  const { bytesOfFile = 3 * MIB + 17, http2 = false, pieces = [{ start: 0, end: bytesOfFile - 1 }], ...rest } = options;
  const folder = await mkdtemp(join(tmpdir(), 'lading-pump-'));
  const path = join(folder, 'file');
  const bytes = content(0, bytesOfFile);
  await writeFile(path, bytes);
  const file = await open(path, 'r+');
  const pump = new Downloads({ ...DEFAULTS, ...rest });
  const outcomes: Outcome[] = [];
  const refusals: LadingError[] = [];
  const reader: Reader = {
    read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
    release: () => undefined,
  };
  const handler = async (response: ServerResponse | Http2ServerResponse): Promise<void> => {
    const source = new PiecesSource(reader, pieces);
    try {
      const transfer = await pump.begin(response, source);
      outcomes.push(await transfer.send(200, { 'content-length': new PiecesSource(reader, pieces).remaining }));
    } catch (error) {
      assert.ok(error instanceof LadingError, String(error));
      refusals.push(error);
      response.writeHead(error.status);
      response.end();
    }
  };
  const server = http2
    ? createHttp2Server((_request, response) => void handler(response))
    : createServer((_request, response) => void handler(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  (server as Server).on('connection', (socket) => sockets.add(socket));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await eventually(() => pump.active === 0, 'the end of all transfers');
    await file.close();
    await rm(folder, { recursive: true });
  });
  return { pump, port: (server.address() as AddressInfo).port, bytes, file, outcomes, refusals };
}

export async function download(port: number): Promise<Buffer> {
  const [response] = (await once(get({ port, host: '127.0.0.1', agent: false }), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** A client that sends a request and reads nothing. */
export async function stalled(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.pause();
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  return socket;
}

export function assertIdle({ pump }: Bench): void {
  assert.equal(pump.pool.lent, 0);
  assert.equal(pump.pool.waiting, 0);
  assert.equal(pump.active, 0);
}
