/** Sends one delivery once: a file by FTP, an event or a file to a webhook. Also removes what earlier tries left on an FTP server. */
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
import { asTarget, withConsequence } from './send/failures.ts';
import { bytesOf, type Content, putByFtp, removeTemporaryNames } from './send/ftp.ts';
import type { FtpAccess } from './send/ftp-session.ts';
import type { FtpTrace } from './send/ftp-trace.ts';
import { namesFor, remoteName } from './send/naming.ts';
import type { Targets } from './targets.ts';
import type { WebhookMessage, WebhookSender } from './webhook.ts';

/** Digests that are remembered: several webhooks are sent the same one, and each of them again and again. */
const MAX_DIGESTS = 256;

export interface CarrierDoors {
  targets: Targets;
  catalog: Catalog;
  blobs: BlobStore;
  inspector: Inspector;
  /** @throws LadingError `file_damaged` when bytes of a complete file are missing */
  assertWhole(file: FileDocument): Promise<void>;
  webhooks: WebhookSender;
  /** Targets of every tenant may be in the server's own network. */
  allowPrivate: boolean;
  clock: Clock;
  /** Changes a delivery, on stable storage when it resolves if `durable`; rejects when it was cancelled meanwhile. */
  change(of: DeliveryDocument, change: Change, durable?: boolean): Promise<void>;
}

type Change = (now: DeliveryDocument) => DeliveryDocument;

interface Try {
  delivery: DeliveryDocument;
  secret: string;
  signal: AbortSignal;
  moved(): void;
}

export class Carriers {
  readonly #doors: CarrierDoors;
  readonly #digests = new Map<string, Promise<Uint8Array>>();

  constructor(doors: CarrierDoors) {
    this.#doors = doors;
  }

  /**
   * Resolves once the target has it, or once nothing of it is left there when it is over; rejects with what the target or the connection
   * said.
   */
  async attempt(delivery: DeliveryDocument, target: TargetDocument, signal: AbortSignal, moved: () => void) {
    const secret = this.#doors.targets.secretOf(target);
    if (secret === null) {
      const error = new Error('the password cannot be read with the key of this server; make the target anew');
      throw withConsequence(error, { pauses: true });
    }
    const one = { delivery, secret, signal, moved };
    if (delivery.state !== 'queued') {
      if (target.kind !== 'webhook') await this.#clean(one, target);
      return;
    }
    if (target.kind === 'webhook' && target.content === 'event') return await this.#sendEvent(one, target);
    const file = await this.#fileOf(delivery);
    if (!file) throw new Error('the file is gone');
    await this.#doors.assertWhole(file);
    const reader = await openBytes(this.#doors.blobs, file);
    try {
      const content = { size: file.size ?? 0, read: reader.read.bind(reader) };
      if (target.kind === 'webhook') await this.#sendFile(one, target, file, content);
      else await this.#putByFtp(one, target, file, content);
    } finally {
      reader.release();
    }
  }

  async #fileOf({ owner, fileName, fileId }: DeliveryDocument): Promise<FileDocument | null> {
    const slot = owner === null || fileName === null ? null : await this.#doors.catalog.find(owner, fileName);
    return slot?.sealed?.id === fileId ? slot.sealed : null;
  }

  async #accessTo(target: FtpTargetDocument, password: string): Promise<FtpAccess> {
    const anywhere = mayBePrivate(target.tenant, this.#doors.allowPrivate);
    return { target, password, address: anywhere ? null : await asTarget(() => publicAddressOf(target.host)) };
  }

  async #putByFtp(one: Try, target: FtpTargetDocument, file: FileDocument, content: Content): Promise<void> {
    const { delivery, secret, signal, moved } = one;
    const clientId = parseOwnerKey(file.owner).id;
    const name = remoteName(target.pattern, { ...file, clientId, completedAt: file.completedAt ?? file.updatedAt });
    const sent = {
      ...content,
      names: namesFor(name),
      id: file.id,
      trace: traceOf(delivery),
      saveTrace: (trace: FtpTrace, durable = true) =>
        this.#doors.change(delivery, (now) => withTrace(now, trace), durable),
      onProgress: moved,
    };
    await putByFtp(await this.#accessTo(target, secret), sent, signal);
  }

  async #clean({ delivery, secret, signal }: Try, target: FtpTargetDocument): Promise<void> {
    const left = await removeTemporaryNames(await this.#accessTo(target, secret), delivery.litter ?? [], signal);
    await this.#doors.change(delivery, (now) => ({ ...now, litter: left }));
    if (left.length > 0) throw new Error(`the server does not remove ${left.join(', ')}`);
  }

  async #sendEvent({ delivery, secret, signal }: Try, { url }: WebhookTargetDocument): Promise<void> {
    const { clock, webhooks } = this.#doors;
    const body = await this.#payloadOf(delivery);
    const timestamp = Math.floor(clock.now() / 1000);
    await webhooks.send(url, secret, { id: delivery.id, timestamp, body }, signal);
  }

  /** The event, of a complete file with its digest. It is stored: each try sends the same bytes. */
  async #payloadOf(delivery: DeliveryDocument): Promise<string> {
    const { event, payload } = delivery;
    if (payload === null) return '{}';
    if (event !== 'file.completed') return payload;
    const parsed = JSON.parse(payload) as LadingEvent;
    const file = parsed.sha256 ? null : await this.#fileOf(delivery);
    if (!file) return payload;
    await this.#doors.assertWhole(file);
    const sha256 = Buffer.from(await this.#digestOf(file)).toString('hex');
    const whole = JSON.stringify({ ...parsed, sha256 });
    await this.#doors.change(delivery, (now) => ({ ...now, payload: whole }));
    return whole;
  }

  /** The file itself. What is signed is its digest. */
  async #sendFile(one: Try, target: WebhookTargetDocument, file: FileDocument, content: Content): Promise<void> {
    const { delivery, secret, signal, moved } = one;
    const message: WebhookMessage = {
      id: delivery.id,
      timestamp: Math.floor(this.#doors.clock.now() / 1000),
      body: formatDigestField({ algorithm: 'sha-256', value: await this.#digestOf(file) }),
      file: {
        name: file.name,
        type: file.contentType ?? contentTypeFor(file.name),
        size: content.size,
        bytes: () => bytesOf(content, moved),
      },
    };
    await this.#doors.webhooks.send(target.url, secret, message, signal);
  }

  /** SHA-256 of a file: the one that its sender declared, for it was checked; else made off the main thread. */
  #digestOf(file: FileDocument): Promise<Uint8Array> {
    const { id, size, crc32, reprDigest } = file;
    if (reprDigest?.algorithm === 'sha-256') return Promise.resolve(Buffer.from(reprDigest.value, 'base64'));
    const key = `${id} ${size} ${crc32}`;
    const known = this.#digests.get(key);
    if (known) return known;
    const digest = digestBytes(this.#doors.inspector, file, 'sha-256', { start: 0, end: (size ?? 0) - 1 });
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

/** What earlier attempts may have left. Documents of earlier versions imply one temporary name, which every attempt used. */
function traceOf({ fileId, remoteName, litter = [], attempts }: DeliveryDocument): FtpTrace {
  const old = litter.length === 0 && (remoteName !== undefined || attempts > 0) ? [`.${fileId}.part`] : litter;
  return { remoteName: remoteName ?? null, temporaryNames: old };
}
