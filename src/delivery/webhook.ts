/** One event to one URL, signed as "Standard Webhooks" has it, so that receivers can check it with a library of theirs. */
import { createHmac, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { checkWebhookUrl, publicLookup } from '../outgoing/addresses.ts';
import { contentDisposition } from '../protocol/http/disposition.ts';
import { type Answer, Poster } from './post.ts';
import { MAX_RETRY_AFTER_MS } from './scheduler.ts';
import { asError, asTarget, withConsequence } from './send/failures.ts';

/** A receiver answers at once and works afterwards. */
const PATIENCE_MS = 15_000;
/** A receiver of a file may store it before it answers. */
const FILE_PATIENCE_MS = 60_000;
const SECRET_PREFIX = 'whsec_';
/** A secret of the target's owner; shorter ones can be guessed. */
const MIN_SECRET_BYTES = 16;

export interface WebhookMessage {
  /** Id of the delivery: the same with every try, so that receivers can tell repeats. */
  id: string;
  /** Seconds since the epoch. */
  timestamp: number;
  /** What is signed: the JSON that is sent, or of a file its field Content-Digest. */
  body: string;
  /** Sent instead of `body`. */
  file?: WebhookFile;
}

export interface WebhookFile {
  name: string;
  type: string;
  size: number;
  /** From its first byte, each time that it is called. */
  bytes(): AsyncIterable<Uint8Array>;
}

export function makeWebhookSecret(): string {
  return SECRET_PREFIX + randomBytes(32).toString('base64');
}

/** True for `whsec_` and Base64 of at least 16 bytes, or any other text of at least 16 characters. */
export function isWebhookSecret(secret: string): boolean {
  return keyOf(secret).length >= MIN_SECRET_BYTES;
}

function keyOf(secret: string): Buffer {
  if (!secret.startsWith(SECRET_PREFIX)) return Buffer.from(secret, 'utf8');
  return Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
}

/** The field `webhook-signature`: HMAC-SHA256 over id, timestamp and body, with dots between. */
export function signatureOf(secret: string, { id, timestamp, body }: WebhookMessage): string {
  return `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

export class WebhookSender {
  readonly #allowPrivate: boolean;
  readonly #poster: Poster;

  constructor(allowPrivate: boolean) {
    this.#allowPrivate = allowPrivate;
    this.#poster = new Poster(allowPrivate ? undefined : publicLookup());
  }

  /** Resolves once the receiver answered 2xx; rejects with what else it or the connection said. Redirects are not followed. */
  async send(to: string, secret: string, message: WebhookMessage, signal: AbortSignal): Promise<void> {
    const url = await asTarget(async () => checkWebhookUrl(to, this.#allowPrivate));
    const headers = {
      'user-agent': 'Lading',
      'webhook-id': message.id,
      'webhook-timestamp': String(message.timestamp),
      'webhook-signature': signatureOf(secret, message),
    };
    const answer = message.file
      ? await this.#postFile(url, message, message.file, headers, signal)
      : await asTarget(() => this.#postEvent(url, message, headers, signal));
    const failure = failureOf(answer, message.timestamp * 1000);
    if (failure) throw failure;
  }

  close(): void {
    this.#poster.close();
  }

  async #postEvent(url: URL, { body }: WebhookMessage, headers: Fields, signal: AbortSignal): Promise<Answer> {
    const length = String(Buffer.byteLength(body));
    const fields = { ...headers, 'content-type': 'application/json', 'content-length': length };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error('the receiver did not answer in 15 seconds')), PATIENCE_MS);
    try {
      return await this.#poster.post(url, { headers: fields, body }, AbortSignal.any([signal, late.signal]));
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
    const timer = setTimeout(() => idle.abort(new Error('the receiver took nothing for a minute')), FILE_PATIENCE_MS);
    let taken = false;
    let unreadable: Error | null = null;
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const piece of file.bytes()) {
          yield piece;
          taken = true;
          timer.refresh();
        }
      } catch (error) {
        unreadable = asError(error);
        throw error;
      }
    };
    try {
      const body = Readable.from(bytes(), { objectMode: false });
      return await this.#poster.post(url, { headers: fields, body }, AbortSignal.any([signal, idle.signal]));
    } catch (error) {
      // A receiver that took a part of this file may take others.
      throw unreadable ?? (taken ? error : withConsequence(asError(error), { pauses: true }));
    } finally {
      clearTimeout(timer);
    }
  }
}

type Fields = Record<string, string>;

/** Null for an answer that takes the message. @param now date, in milliseconds since the epoch */
function failureOf({ status, retryAfter }: Answer, now: number): Error | null {
  if (status >= 200 && status < 300) return null;
  const said = `the receiver said ${status}`;
  if (status >= 300 && status < 400) {
    const error = new Error(`${said}: a redirect, which is not followed; give the target the URL that it leads to`);
    return withConsequence(error, { ends: true });
  }
  if (status === 410) {
    return withConsequence(new Error(`${said}: it wants nothing more, so the target was disabled`), { disables: true });
  }
  const error = new Error(said);
  if (status === 429 || status === 503) {
    return withConsequence(error, { pauses: true, retryAfterMs: retryAfterOf(retryAfter, now) });
  }
  // Gateways say so when the receiver itself does not answer.
  return status === 502 || status === 504 ? withConsequence(error, { pauses: true }) : error;
}

/** Milliseconds, of RFC 9110 §10.2.3: seconds or a date; 0 for what is neither. Bounded. */
export function retryAfterOf(field: string | string[] | undefined, now: number): number {
  const text = String([field ?? ''].flat()[0]).trim();
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wait) ? 0 : Math.min(Math.max(wait, 0), MAX_RETRY_AFTER_MS);
}
