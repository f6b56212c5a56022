/** Transfers files outside the main thread, with `lading/client`. */
import { sha256 } from '@noble/hashes/sha2.js';
import { LadingClient } from '../client/client.ts';
import type { StreamProgress } from '../client/transfer/stream.ts';
import { type UploadCalls, type UploadSource, upload as uploadBy } from '../client/transfer/upload.ts';
import { NetworkError } from '../client/transport/failures.ts';
import { fetchTransport } from '../client/transport/fetch.ts';
import { LadingError } from '../errors.ts';
import type { Digest } from '../protocol/http/digests.ts';
import type { FileStatus } from '../protocol/schemas/files.ts';
import { messageOf } from './format.ts';
import type { Cancelled, FromWorker, ToWorker } from './messages.ts';
import { UploadOwnership } from './upload-ownership.ts';

/** Size of the blobs in which a download is passed to the browser, which may store them on disk. */
const PIECE_BYTES = 16 * 1024 * 1024;
const DIGEST_BYTES = 1024 * 1024;
/** Delays between checks for an upload that late chunks create after the cancellation. */
const RECHECK_MS = [500, 1500];

/** Running transfers, by task id. */
const running = new Map<string, { stop: AbortController; ended: Promise<void> }>();
/** Uploads that sent or may still send bytes, by task id. */
const uploads = new Map<string, { name: string; own: UploadOwnership }>();
/** Running cancellations, by name. An upload of the same name waits for them. */
const cancelling = new Map<string, Promise<void>>();
const tokenRequests = new Map<number, { resolve(token: string): void; reject(error: Error): void }>();
let calls = 0;

const post = (message: FromWorker): void => self.postMessage(message);

/** The slice of a file from which a buffer was read. Sending the slice saves the browser a copy. */
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
      tokenRequests.set(calls, { resolve, reject });
      post({ type: 'token', call: calls, refused });
    }),
});

self.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
  switch (message.type) {
    case 'stop':
      running.get(message.id)?.stop.abort();
      break;
    case 'cancel':
      void cancel(message.id);
      break;
    case 'forget':
      void forget(message.id);
      break;
    case 'token':
      settleTokenRequest(message);
      break;
    default:
      run(message);
  }
};

function settleTokenRequest({
  call,
  token,
  error = 'Sign in again.',
  transient,
}: Extract<ToWorker, { type: 'token' }>): void {
  const request = tokenRequests.get(call);
  tokenRequests.delete(call);
  if (token !== undefined) request?.resolve(token);
  // If the server could not be reached, the transfer waits and retries.
  else request?.reject(transient ? new NetworkError(error) : new LadingError('unauthorized', error));
}

function run(message: Extract<ToWorker, { type: 'upload' | 'download' }>): void {
  const { id } = message;
  const stop = new AbortController();
  const ended = (message.type === 'upload' ? upload(message, stop.signal) : download(message, stop.signal))
    .catch((error) => {
      if (stop.signal.aborted) post({ type: 'stopped', id });
      else post({ type: 'failed', id, why: messageOf(error), code: error instanceof LadingError ? error.code : null });
    })
    .finally(() => running.delete(id));
  running.set(id, { stop, ended });
}

async function forget(id: string): Promise<void> {
  await stopAndWait(id);
  uploads.delete(id);
}

async function stopAndWait(id: string): Promise<void> {
  const transfer = running.get(id);
  transfer?.stop.abort();
  await transfer?.ended;
}

/** Stops an upload. When no request is in flight, removes it from the server if this page started it. */
async function cancel(id: string): Promise<void> {
  const upload = uploads.get(id);
  const name = upload?.name ?? '';
  const work = stopAndWait(id).then(() => (upload ? removeOwn(name, upload.own) : ('removed' as const)));
  const done = work.then(
    (outcome) => post({ type: 'cancelled', id, name, outcome, why: null }),
    (error) => post({ type: 'cancelled', id, name, outcome: 'unknown', why: messageOf(error) }),
  );
  if (upload) cancelling.set(name, done);
  await done;
  uploads.delete(id);
  if (cancelling.get(name) === done) cancelling.delete(name);
}

/** Removes the upload from the server, but never a stored file or a foreign upload. */
async function removeOwn(name: string, own: UploadOwnership): Promise<Cancelled> {
  let outcome: Cancelled = 'removed';
  for (const pause of [...RECHECK_MS, null]) {
    const status = await client.status(name);
    if (status.status === 'complete' && own.hasSent) outcome = 'complete';
    if (status.status === 'partial') outcome = await removeIfOwn(status, own);
    // A late chunk without a reply would start a new upload.
    if (pause === null || !own.mayHaveLateChunks || outcome !== 'removed') break;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return outcome;
}

async function removeIfOwn(status: FileStatus, own: UploadOwnership): Promise<Cancelled> {
  if (!own.observe(status)) return 'foreign';
  await client.cancel(status.filename, { id: status.id ?? undefined }).catch((error: unknown) => {
    if (!(error instanceof LadingError) || error.code !== 'not_found') throw error;
  });
  return 'removed';
}

async function upload(message: Extract<ToWorker, { type: 'upload' }>, signal: AbortSignal): Promise<void> {
  const { id, file, name, replace, started } = message;
  const known = uploads.get(id)?.own;
  const own = known ?? new UploadOwnership(file.size, started, (upload) => post({ type: 'started', upload }));
  uploads.set(id, { name, own });
  await cancelling.get(name);
  signal.throwIfAborted();
  const { resumed, already } = await uploadBy(trackedCalls(own), sourceOf(file), {
    name,
    signal,
    overwrite: replace,
    ...(file.type === '' ? {} : { contentType: file.type }),
    onProgress: ({ done, total, rate, left }) => post({ type: 'progress', id, bytes: done, total, rate, left }),
    onRetry: ({ error }) => post({ type: 'waiting', id, why: messageOf(error) }),
  });
  uploads.delete(id);
  post({ type: 'uploaded', id, resumed, already });
}

/** The calls of an upload, which record whether this page started it. */
function trackedCalls(own: UploadOwnership): UploadCalls {
  return {
    crc32: client.crc32,
    status: async (...args) => {
      const status = await client.status(...args);
      own.observe(status);
      return status;
    },
    uploadChunk: async (name, chunk) =>
      own.chunk({ start: chunk.start, end: chunk.start + chunk.data.length - 1 }, () =>
        client.uploadChunk(name, chunk),
      ),
    cancel: async (name) => {
      // Never cancel a foreign upload, not even to replace a file.
      throw new LadingError(
        'size_conflict',
        `Another upload of ${name} is in progress. Wait for it, or cancel it under Transfers.`,
      );
    },
  };
}

/** A file as the source of an upload, with a digest, because the user may pick a different file to resume an upload. */
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
  let buffered = 0;
  const options = {
    signal,
    onProgress: ({ done, total, rate, left }: StreamProgress) =>
      post({ type: 'progress', id, bytes: done, total, rate, left }),
  };
  for await (const bytes of client.read(name, options)) {
    parts.push(bytes as Uint8Array<ArrayBuffer>);
    buffered += bytes.length;
    if (buffered < PIECE_BYTES) continue;
    pieces.push(new Blob(parts));
    parts = [];
    buffered = 0;
  }
  post({ type: 'downloaded', id, blob: new Blob([...pieces, ...parts]) });
}
