/**
 * Makes one attempt at a delivery: sends a file by FTP, or an event or a file to a webhook. For a delivery that has ended, removes the
 * temporary files that earlier attempts left on the FTP server.
 */
import type { BlobStore, Inspector } from '../contracts/blobs.ts';
import type { Catalog } from '../contracts/catalog.ts';
import type { Clock } from '../contracts/clock.ts';
import { digestBytes, openBytes } from '../engine/files/file-blobs.ts';
import { parseOwnerKey } from '../identity/rights/policy.ts';
import { mayBePrivate, publicAddressOf } from '../outgoing/addresses.ts';
import { formatDigestField } from '../protocol/http/digests.ts';
import { contentTypeFor } from '../protocol/http/media-types.ts';
import type { LadingEvent } from '../protocol/schemas/event.ts';
import type {
  DeliveryDocument,
  FtpTargetDocument,
  TargetDocument,
  WebhookTargetDocument,
} from '../records/delivery.ts';
import type { FileDocument } from '../records/file.ts';
import { attributeToTarget, withConsequence } from './send/failures.ts';
import { bytesOf, type Content, putByFtp, removeTemporaryNames } from './send/ftp.ts';
import type { FtpAccess } from './send/ftp-session.ts';
import type { FtpTrace } from './send/ftp-trace.ts';
import { namesFor, remoteName } from './send/naming.ts';
import type { Targets } from './targets.ts';
import type { WebhookMessage, WebhookSender } from './webhook.ts';

/** Size of the digest cache. Deliveries of one file to several webhooks, and repeated attempts, need the same digest. */
const MAX_DIGESTS = 256;

export interface SenderDeps {
  targets: Targets;
  catalog: Catalog;
  blobs: BlobStore;
  inspector: Inspector;
  /** @throws LadingError `file_damaged` when bytes of a complete file are missing */
  assertUndamaged(file: FileDocument): Promise<void>;
  webhooks: WebhookSender;
  /** Allows targets of every tenant on private networks. */
  allowPrivate: boolean;
  clock: Clock;
  /** Changes the stored delivery. If `durable`, it is on stable storage when the promise resolves. @throws Error if the delivery was cancelled */
  change(delivery: DeliveryDocument, change: Change, durable?: boolean): Promise<void>;
}

type Change = (current: DeliveryDocument) => DeliveryDocument;

interface Attempt {
  delivery: DeliveryDocument;
  secret: string;
  signal: AbortSignal;
  onProgress(): void;
}

/** Makes single attempts. `DeliveryScheduler` decides when, `Outcomes` what follows. */
export class DeliverySender {
  readonly #deps: SenderDeps;
  readonly #digests = new Map<string, Promise<Uint8Array>>();

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /**
   * Sends the delivery, or removes its temporary files if it has ended.
   * @param onProgress called whenever the target accepted bytes
   * @throws Error with the reply of the target or the reason why the connection failed
   */
  async attempt(delivery: DeliveryDocument, target: TargetDocument, signal: AbortSignal, onProgress: () => void) {
    const secret = this.#deps.targets.secretOf(target);
    if (secret === null) {
      const error = new Error(
        'the secret of the target cannot be decrypted with the key of this server; create the target again',
      );
      throw withConsequence(error, { pauses: true });
    }
    const attempt: Attempt = { delivery, secret, signal, onProgress };
    if (delivery.state !== 'queued') {
      if (target.kind !== 'webhook') await this.#removeTemporaryNames(attempt, target);
      return;
    }
    if (target.kind === 'webhook' && target.content === 'event') return await this.#sendEvent(attempt, target);
    const file = await this.#fileOf(delivery);
    if (!file) throw new Error('the file was deleted');
    await this.#deps.assertUndamaged(file);
    const reader = await openBytes(this.#deps.blobs, file);
    try {
      const content = { size: file.size ?? 0, read: reader.read.bind(reader) };
      if (target.kind === 'webhook') await this.#sendFile(attempt, target, file, content);
      else await this.#putByFtp(attempt, target, file, content);
    } finally {
      reader.release();
    }
  }

  async #fileOf({ owner, fileName, fileId }: DeliveryDocument): Promise<FileDocument | null> {
    const slot = owner === null || fileName === null ? null : await this.#deps.catalog.find(owner, fileName);
    return slot?.sealed?.id === fileId ? slot.sealed : null;
  }

  async #accessTo(target: FtpTargetDocument, password: string): Promise<FtpAccess> {
    const isUnrestricted = mayBePrivate(target.tenant, this.#deps.allowPrivate);
    return {
      target,
      password,
      address: isUnrestricted ? null : await attributeToTarget(() => publicAddressOf(target.host)),
    };
  }

  async #putByFtp(attempt: Attempt, target: FtpTargetDocument, file: FileDocument, content: Content): Promise<void> {
    const { delivery, secret, signal, onProgress } = attempt;
    const clientId = parseOwnerKey(file.owner).id;
    const name = remoteName(target.pattern, { ...file, clientId, completedAt: file.completedAt ?? file.updatedAt });
    const upload = {
      ...content,
      names: namesFor(name),
      id: file.id,
      trace: traceOf(delivery),
      saveTrace: (trace: FtpTrace, durable = true) =>
        this.#deps.change(delivery, (current) => withTrace(current, trace), durable),
      onProgress,
    };
    await putByFtp(await this.#accessTo(target, secret), upload, signal);
  }

  async #removeTemporaryNames({ delivery, secret, signal }: Attempt, target: FtpTargetDocument): Promise<void> {
    const left = await removeTemporaryNames(await this.#accessTo(target, secret), delivery.litter ?? [], signal);
    await this.#deps.change(delivery, (current) => ({ ...current, litter: left }));
    if (left.length > 0) throw new Error(`the server refused to delete ${left.join(', ')}`);
  }

  async #sendEvent({ delivery, secret, signal }: Attempt, { url }: WebhookTargetDocument): Promise<void> {
    const { clock, webhooks } = this.#deps;
    const body = await this.#payloadOf(delivery);
    const timestamp = Math.floor(clock.now() / 1000);
    await webhooks.send(url, secret, { id: delivery.id, timestamp, body }, signal);
  }

  /** The JSON of the event. The digest is added to `file.completed` and stored, so that every attempt sends the same bytes. */
  async #payloadOf(delivery: DeliveryDocument): Promise<string> {
    const { event, payload } = delivery;
    if (payload === null) return '{}';
    if (event !== 'file.completed') return payload;
    const parsed = JSON.parse(payload) as LadingEvent;
    const file = parsed.sha256 ? null : await this.#fileOf(delivery);
    if (!file) return payload;
    await this.#deps.assertUndamaged(file);
    const sha256 = Buffer.from(await this.#digestOf(file)).toString('hex');
    const completed = JSON.stringify({ ...parsed, sha256 });
    await this.#deps.change(delivery, (current) => ({ ...current, payload: completed }));
    return completed;
  }

  /** Sends the file as the body. The signature covers its digest. */
  async #sendFile(
    attempt: Attempt,
    target: WebhookTargetDocument,
    file: FileDocument,
    content: Content,
  ): Promise<void> {
    const { delivery, secret, signal, onProgress } = attempt;
    const message: WebhookMessage = {
      id: delivery.id,
      timestamp: Math.floor(this.#deps.clock.now() / 1000),
      body: formatDigestField({ algorithm: 'sha-256', value: await this.#digestOf(file) }),
      file: {
        name: file.name,
        type: file.contentType ?? contentTypeFor(file.name),
        size: content.size,
        bytes: () => bytesOf(content, onProgress),
      },
    };
    await this.#deps.webhooks.send(target.url, secret, message, signal);
  }

  /** SHA-256 of a file: the declared digest, which was verified on upload, or one that a worker thread computes. */
  #digestOf(file: FileDocument): Promise<Uint8Array> {
    const { id, size, crc32, reprDigest } = file;
    if (reprDigest?.algorithm === 'sha-256') return Promise.resolve(Buffer.from(reprDigest.value, 'base64'));
    const key = `${id} ${size} ${crc32}`;
    const known = this.#digests.get(key);
    if (known) return known;
    const digest = digestBytes(this.#deps.inspector, file, 'sha-256', { start: 0, end: (size ?? 0) - 1 });
    this.#digests.set(key, digest);
    digest.catch(() => this.#digests.delete(key));
    for (const oldest of this.#digests.keys()) {
      if (this.#digests.size <= MAX_DIGESTS) break;
      this.#digests.delete(oldest);
    }
    return digest;
  }
}

function withTrace({ remoteName: _, litter: __, ...rest }: DeliveryDocument, trace: FtpTrace): DeliveryDocument {
  const { remoteName, temporaryNames } = trace;
  return {
    ...rest,
    ...(remoteName === null ? {} : { remoteName }),
    ...(temporaryNames.length === 0 ? {} : { litter: temporaryNames }),
  };
}

/** Names that earlier attempts may have left. In earlier versions, all attempts used one temporary name, which is not in the document. */
function traceOf({ fileId, remoteName, litter = [], attempts }: DeliveryDocument): FtpTrace {
  const temporaryNames =
    litter.length === 0 && (remoteName !== undefined || attempts > 0) ? [`.${fileId}.part`] : litter;
  return { remoteName: remoteName ?? null, temporaryNames };
}
