/** Sends one event or file to a webhook, signed as in Standard Webhooks (https://www.standardwebhooks.com). */
import { createHmac, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { checkWebhookUrl, publicLookup } from '../outgoing/addresses.ts';
import { contentDisposition } from '../protocol/http/disposition.ts';
import { PostClient, type PostResponse } from './post.ts';
import { MAX_RETRY_AFTER_MS } from './scheduler.ts';
import { asError, attributeToTarget, withConsequence } from './send/failures.ts';

/** Timeout of an event. Receivers should respond before they process it. */
const TIMEOUT_MS = 15_000;
/** Idle timeout of a file. The receiver may store the file before it responds. */
const FILE_IDLE_MS = 60_000;
const SECRET_PREFIX = 'whsec_';
/** Minimum length of a secret that an administrator chose. */
const MIN_SECRET_BYTES = 16;

/** A message to a webhook. */
export interface WebhookMessage {
  /** Id of the delivery. The same in every attempt, so that receivers can recognise duplicates. */
  id: string;
  /** Seconds since the epoch. */
  timestamp: number;
  /** The signed text: the JSON that is sent, or the Content-Digest field of the file. */
  body: string;
  /** Sent instead of `body`. */
  file?: WebhookFile;
}

/** A file as the body of a message. */
export interface WebhookFile {
  name: string;
  type: string;
  size: number;
  /** Reads the file from its first byte, in each call. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** A new random signing key. */
export function makeWebhookSecret(): string {
  return SECRET_PREFIX + randomBytes(32).toString('base64');
}

/** True for `whsec_` and the Base64 of at least 16 bytes, and for any other text of at least 16 bytes. */
export function isWebhookSecret(secret: string): boolean {
  return keyOf(secret).length >= MIN_SECRET_BYTES;
}

function keyOf(secret: string): Buffer {
  if (!secret.startsWith(SECRET_PREFIX)) return Buffer.from(secret, 'utf8');
  return Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
}

/** The field `webhook-signature`: an HMAC-SHA256 over id, timestamp and body, joined by dots. */
export function signatureOf(secret: string, { id, timestamp, body }: WebhookMessage): string {
  return `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Signs and sends messages. */
export class WebhookSender {
  readonly #allowPrivate: boolean;
  readonly #client: PostClient;

  constructor(allowPrivate: boolean) {
    this.#allowPrivate = allowPrivate;
    this.#client = new PostClient(allowPrivate ? undefined : publicLookup());
  }

  /** Sends a message. Resolves when the receiver responds with 2xx; rejects otherwise. Does not follow redirects. */
  async send(to: string, secret: string, message: WebhookMessage, signal: AbortSignal): Promise<void> {
    const url = await attributeToTarget(async () => checkWebhookUrl(to, this.#allowPrivate));
    const headers = {
      'user-agent': 'Lading',
      'webhook-id': message.id,
      'webhook-timestamp': String(message.timestamp),
      'webhook-signature': signatureOf(secret, message),
    };
    const response = message.file
      ? await this.#postFile(url, message, message.file, headers, signal)
      : await attributeToTarget(() => this.#postEvent(url, message, headers, signal));
    const failure = failureOf(response, message.timestamp * 1000);
    if (failure) throw failure;
  }

  close(): void {
    this.#client.close();
  }

  async #postEvent(url: URL, { body }: WebhookMessage, headers: Fields, signal: AbortSignal): Promise<PostResponse> {
    const length = String(Buffer.byteLength(body));
    const fields = { ...headers, 'content-type': 'application/json', 'content-length': length };
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new Error('the receiver did not answer within 15 seconds')),
      TIMEOUT_MS,
    );
    try {
      return await this.#client.post(url, { headers: fields, body }, AbortSignal.any([signal, timeout.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #postFile(url: URL, message: WebhookMessage, file: WebhookFile, headers: Fields, signal: AbortSignal) {
    const fields = {
      ...headers,
      'content-type': file.type,
      'content-length': String(file.size),
      'content-disposition': contentDisposition(file.name),
      'content-digest': message.body,
    };
    const idle = new AbortController();
    const timer = setTimeout(() => idle.abort(new Error('the receiver accepted no data for a minute')), FILE_IDLE_MS);
    let accepted = false;
    let unreadable: Error | null = null;
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const piece of file.bytes()) {
          yield piece;
          accepted = true;
          timer.refresh();
        }
      } catch (error) {
        unreadable = asError(error);
        throw error;
      }
    };
    try {
      const body = Readable.from(bytes(), { objectMode: false });
      return await this.#client.post(url, { headers: fields, body }, AbortSignal.any([signal, idle.signal]));
    } catch (error) {
      // A receiver that accepted part of this file works, and may accept other files.
      throw unreadable ?? (accepted ? error : withConsequence(asError(error), { pauses: true }));
    } finally {
      clearTimeout(timer);
    }
  }
}

type Fields = Record<string, string>;

/** The failure that a response reports; null for 2xx. @param now milliseconds since the epoch */
function failureOf({ status, retryAfter }: PostResponse, now: number): Error | null {
  if (status >= 200 && status < 300) return null;
  const answered = `the receiver answered ${status}`;
  if (status >= 300 && status < 400) {
    const error = new Error(`${answered}, a redirect, which is not followed; set the target to the final URL`);
    return withConsequence(error, { ends: true });
  }
  if (status === 410) {
    return withConsequence(new Error(`${answered}, so the target was disabled`), { disables: true });
  }
  const error = new Error(answered);
  if (status === 429 || status === 503) {
    return withConsequence(error, { pauses: true, retryAfterMs: retryAfterOf(retryAfter, now) });
  }
  // Sent by a gateway if the receiver itself is not available.
  return status === 502 || status === 504 ? withConsequence(error, { pauses: true }) : error;
}

/** The wait in a `Retry-After` field (RFC 9110 §10.2.3), in milliseconds, at most an hour; 0 if the field is invalid. */
export function retryAfterOf(field: string | string[] | undefined, now: number): number {
  const text = String([field ?? ''].flat()[0]).trim();
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? 0 : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER_MS);
}
