/** Moves bytes away from the page's thread: reads, checks, sends and receives by `lading/client`. */
import { sha256 } from '@noble/hashes/sha2.js';
import { LadingClient } from '../client/client.ts';
import type { StreamProgress } from '../client/stream.ts';
import { fetchTransport } from '../client/transport-fetch.ts';
import type { UploadSource } from '../client/upload.ts';
import { LadingError } from '../errors.ts';
import type { Digest } from '../protocol/digests.ts';
import { words } from './format.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** Parts of a download are handed to the browser, which may put them on disk, in pieces of this size. */
const PIECE_BYTES = 16 * 1024 * 1024;
const DIGEST_BYTES = 1024 * 1024;

const running = new Map<string, AbortController>();
const asked = new Map<number, { resolve(token: string): void; reject(error: Error): void }>();
let calls = 0;

const tell = (message: FromWorker): void => self.postMessage(message);

/** Where bytes that were read for their checksums came from: the browser sends a piece of a file without copying it to and fro. */
const pieces = new WeakMap<ArrayBuffer, Blob>();

function pieceOf(part: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | Blob {
  const piece = pieces.get(part.buffer);
  return piece?.size === part.length ? piece : part;
}

const client = new LadingClient({
  server: new URL('..', self.location.href).href,
  transport: fetchTransport((...args) => fetch(...args), pieceOf),
  renew: (refused) =>
    new Promise((resolve, reject) => {
      calls += 1;
      asked.set(calls, { resolve, reject });
      tell({ type: 'token', call: calls, refused });
    }),
});

self.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
  if (message.type === 'stop') running.get(message.id)?.abort();
  else if (message.type === 'token') {
    const { call, token, error } = message;
    if (token === undefined) asked.get(call)?.reject(new LadingError('unauthorized', error ?? 'Sign in again.'));
    else asked.get(call)?.resolve(token);
    asked.delete(call);
  } else void run(message);
};

async function run(message: Extract<ToWorker, { type: 'upload' | 'download' }>): Promise<void> {
  const { id } = message;
  const stop = new AbortController();
  running.set(id, stop);
  try {
    if (message.type === 'upload') await upload(message, stop.signal);
    else await download(message, stop.signal);
  } catch (error) {
    tell(stop.signal.aborted ? { type: 'stopped', id } : { type: 'failed', id, why: words(error) });
  } finally {
    running.delete(id);
  }
}

async function upload({ id, file, name }: Extract<ToWorker, { type: 'upload' }>, signal: AbortSignal): Promise<void> {
  const { resumed } = await client.upload(sourceOf(file), {
    name,
    signal,
    ...(file.type === '' ? {} : { contentType: file.type }),
    onProgress: ({ done, total, rate, left }) => tell({ type: 'progress', id, bytes: done, total, rate, left }),
    onRetry: ({ error }) => tell({ type: 'waiting', id, why: words(error) }),
  });
  tell({ type: 'uploaded', id, resumed });
}

/** With a digest, so that an upload that goes on is checked as a whole: the file that was picked again may be another one. */
function sourceOf(file: File): UploadSource {
  const read = async (start: number, end: number) => {
    const piece = file.slice(start, end + 1);
    const bytes = await piece.arrayBuffer();
    pieces.set(bytes, piece);
    return new Uint8Array(bytes);
  };
  const digest = async (signal: AbortSignal): Promise<Digest> => {
    const hash = sha256.create();
    for (let at = 0; at < file.size; at += DIGEST_BYTES) {
      signal.throwIfAborted();
      hash.update(await read(at, Math.min(file.size, at + DIGEST_BYTES) - 1));
    }
    return { algorithm: 'sha-256', value: hash.digest() };
  };
  return { size: file.size, read, digest };
}

async function download({ id, name }: Extract<ToWorker, { type: 'download' }>, signal: AbortSignal): Promise<void> {
  const pieces: Blob[] = [];
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let held = 0;
  const options = {
    signal,
    onProgress: ({ done, total, rate, left }: StreamProgress) =>
      tell({ type: 'progress', id, bytes: done, total, rate, left }),
  };
  for await (const bytes of client.read(name, options)) {
    parts.push(bytes as Uint8Array<ArrayBuffer>);
    held += bytes.length;
    if (held < PIECE_BYTES) continue;
    pieces.push(new Blob(parts));
    parts = [];
    held = 0;
  }
  tell({ type: 'downloaded', id, blob: new Blob([...pieces, ...parts]) });
}
