/** Sends trains of chunks over a real socket and parses the replies. */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import type { Problem } from '../../../src/protocol/schemas/problem.ts';
import { encodeTrainChunk, LINES_TYPE, TRAIN_CRC32_TYPE, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import type { TestServer } from '../product/server.ts';

export interface Line {
  committed: [number, number][];
  committed_more?: boolean;
  committed_chunks: number;
  bytes_received: number;
  next_expected_byte: number;
}

export type Outcome = Partial<Omit<FileStatus, 'status'> & Omit<Problem, 'status'>> & { status: string | number };

export interface TrainReply {
  status: number;
  type: string;
  /** The status object or the problem. */
  outcome: Outcome;
  lines: Line[];
}

export interface TrainOptions {
  hasCrc32?: boolean;
  lines?: boolean;
  headers?: Record<string, string>;
  account?: { headers: Record<string, string> };
}

/** A train with the ranges `cuts` of `bytes`, in this order. */
export function trainOf(bytes: Uint8Array, cuts: readonly (readonly [number, number])[], hasCrc32 = false): Buffer {
  return Buffer.concat(cuts.map(([start, end]) => encodeTrainChunk(start, bytes.subarray(start, end + 1), hasCrc32)));
}

/** Splits `length` bytes into ranges of `size` bytes. */
export function cutsOf(length: number, size: number): [number, number][] {
  const cuts: [number, number][] = [];
  for (let start = 0; start < length; start += size) cuts.push([start, Math.min(start + size, length) - 1]);
  return cuts;
}

/** Sends a train. @param query the query string after `filename=` */
export async function sendTrain(
  { port, client }: TestServer,
  query: string,
  body: Uint8Array | readonly Uint8Array[],
  { hasCrc32 = false, lines = false, headers = {}, account = client }: TrainOptions = {},
): Promise<TrainReply> {
  return await new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ port, host: '127.0.0.1', method: 'POST', path: `/api/files/upload?filename=${query}` },
        headers: {
          'content-type': hasCrc32 ? TRAIN_CRC32_TYPE : TRAIN_TYPE,
          ...account.headers,
          ...(lines ? { accept: LINES_TYPE } : {}),
          ...headers,
        },
        agent: false,
      },
      (reply) => {
        text(reply).then((whole) => {
          const rows = whole.trim().split('\n');
          resolve({
            status: reply.statusCode ?? 0,
            type: reply.headers['content-type'] ?? '',
            outcome: JSON.parse(rows.at(-1) ?? '') as Outcome,
            lines: rows.slice(0, -1).map((row) => JSON.parse(row) as Line),
          });
        }, reject);
      },
    );
    sent.on('error', reject);
    for (const piece of body instanceof Uint8Array ? [body] : body) sent.write(piece);
    sent.end();
  });
}

export async function fileStatus({ origin, client }: TestServer, name: string): Promise<FileStatus> {
  const reply = await fetch(`${origin}/api/files/status/${name}`, { headers: client.headers });
  return (await reply.json()) as FileStatus;
}

export async function download({ origin, client }: TestServer, name: string): Promise<Buffer> {
  const reply = await fetch(`${origin}/api/files/download/${name}`, { headers: client.headers });
  if (reply.status !== 200) throw new Error(`${reply.status} ${await reply.text()}`);
  return Buffer.from(await reply.arrayBuffer());
}
