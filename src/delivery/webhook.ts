/** One event to one URL, signed as "Standard Webhooks" has it, so that receivers can check it with a library of theirs. */
import { createHmac, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Agent, request } from 'undici';
import { outgoingAgent } from '../outgoing.ts';
import { contentDisposition } from '../protocol/disposition.ts';
import { checkWebhookUrl } from './addresses.ts';

/** A receiver answers at once and works afterwards. */
const PATIENCE_MS = 15_000;
/** A receiver of a file may store it before it answers. */
const FILE_PATIENCE_MS = 60_000;
const MOST_REDIRECTS = 3;
const SECRET_PREFIX = 'whsec_';
/** A secret of the target's owner; shorter ones can be guessed. */
const LEAST_SECRET_BYTES = 16;

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
  return keyOf(secret).length >= LEAST_SECRET_BYTES;
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
  readonly #agent: Agent;

  constructor(allowPrivate: boolean) {
    this.#allowPrivate = allowPrivate;
    this.#agent = outgoingAgent({ trusted: [], allowPrivate, timeoutMs: PATIENCE_MS });
  }

  /** Resolves once the receiver said 2xx; rejects with what else it or the connection said. */
  async send(to: string, secret: string, message: WebhookMessage, signal: AbortSignal): Promise<void> {
    const { file } = message;
    let url = checkWebhookUrl(to, this.#allowPrivate);
    for (let redirects = 0; ; redirects += 1) {
      const { statusCode, headers, body } = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: {
          ...(file === undefined
            ? { 'content-type': 'application/json' }
            : {
                'content-type': file.type,
                'content-length': String(file.size),
                'content-disposition': contentDisposition(file.name),
                'content-digest': message.body,
              }),
          'user-agent': 'Lading',
          'webhook-id': message.id,
          'webhook-timestamp': String(message.timestamp),
          'webhook-signature': signatureOf(secret, message),
        },
        body: file === undefined ? message.body : Readable.from(file.bytes(), { objectMode: false }),
        headersTimeout: file === undefined ? PATIENCE_MS : FILE_PATIENCE_MS,
        bodyTimeout: PATIENCE_MS,
        // A file takes as long as it takes, while the receiver takes something of it.
        signal: file === undefined ? AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) : signal,
      });
      // What it says is not looked at; a little of it is read so that the connection can be used again.
      await body.dump({ limit: 16 * 1024 }).catch(() => {});
      if (statusCode >= 200 && statusCode < 300) return;
      // Other redirects turn a POST into a GET.
      const location = statusCode === 307 || statusCode === 308 ? headers.location : undefined;
      if (typeof location !== 'string' || redirects >= MOST_REDIRECTS)
        throw new Error(`the receiver said ${statusCode}`);
      const next = checkWebhookUrl(new URL(location, url).href, this.#allowPrivate);
      if (url.protocol === 'https:' && next.protocol !== 'https:') throw new Error('the receiver redirects to http');
      url = next;
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}
