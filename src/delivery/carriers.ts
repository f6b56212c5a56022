/** Sends one delivery once: a file by FTP, an event or a file to a webhook. */
import type {
  BlobStore,
  Catalog,
  Clock,
  DeliveryDocument,
  FileDocument,
  FtpTargetDocument,
  Inspector,
  TargetDocument,
  WebhookTargetDocument,
} from '../contracts.ts';
import { openBytes } from '../engine/pieces.ts';
import { holderOf } from '../identity/policy.ts';
import { formatDigestField } from '../protocol/digests.ts';
import { contentTypeFor } from '../protocol/media-types.ts';
import { mayBePrivate, publicAddressOf } from './addresses.ts';
import { bytesOf, putByFtp } from './ftp.ts';
import { namesFor, remoteName } from './naming.ts';
import type { Targets } from './targets.ts';
import type { WebhookMessage, WebhookSender } from './webhook.ts';

export interface CarrierDoors {
  targets: Targets;
  catalog: Catalog;
  blobs: BlobStore;
  inspector: Inspector;
  webhooks: WebhookSender;
  /** Targets of every tenant may be in the server's own network. */
  allowPrivate: boolean;
  clock: Clock;
  /** Keeps the name that a file is about to get on an FTP server; durable when it resolves. */
  named(delivery: DeliveryDocument, remoteName: string): Promise<void>;
}

interface Content {
  size: number;
  read(into: Uint8Array, position: number): Promise<number>;
}

export class Carriers {
  readonly #doors: CarrierDoors;

  constructor(doors: CarrierDoors) {
    this.#doors = doors;
  }

  /** Resolves once the target has it; rejects with what the target or the connection said. */
  async carry(delivery: DeliveryDocument, target: TargetDocument, signal: AbortSignal): Promise<void> {
    const secret = this.#doors.targets.secretOf(target);
    if (secret === null) {
      throw new Error('the password cannot be read with the key of this server; make the target anew');
    }
    if (target.kind === 'webhook' && target.content === 'event')
      return this.#sendEvent(delivery, target, secret, signal);
    const { catalog, blobs } = this.#doors;
    const { owner, fileName, fileId } = delivery;
    const slot = owner === null || fileName === null ? null : await catalog.find(owner, fileName);
    const file = slot?.sealed;
    if (!file || file.id !== fileId) throw new Error('the file is gone');
    const reader = await openBytes(blobs, file);
    try {
      const content = { size: file.size ?? 0, read: reader.read.bind(reader) };
      if (target.kind === 'webhook') await this.#sendFile(delivery, target, secret, file, content, signal);
      else await this.#putByFtp(delivery, target, secret, file, content, signal);
    } finally {
      reader.release();
    }
  }

  async #putByFtp(
    delivery: DeliveryDocument,
    target: FtpTargetDocument,
    secret: string,
    file: FileDocument,
    content: Content,
    signal: AbortSignal,
  ): Promise<void> {
    const clientId = holderOf(file.owner).id;
    const name = remoteName(target.pattern, { ...file, clientId, completedAt: file.completedAt ?? file.updatedAt });
    const { remoteName: tried = null } = delivery;
    const takes = (taken: string): Promise<void> => this.#doors.named(delivery, taken);
    const address = mayBePrivate(target.tenant, this.#doors.allowPrivate) ? null : await publicAddressOf(target.host);
    const sent = { names: namesFor(name), tried, takes, id: file.id, ...content };
    await putByFtp(target, secret, sent, signal, address);
  }

  #sendEvent(delivery: DeliveryDocument, { url }: WebhookTargetDocument, secret: string, signal: AbortSignal) {
    const { clock, webhooks } = this.#doors;
    const timestamp = Math.floor(clock.now() / 1000);
    return webhooks.send(url, secret, { id: delivery.id, timestamp, body: delivery.payload ?? '{}' }, signal);
  }

  /** The file itself. Its digest is made off the main thread, and what is signed is the digest. */
  async #sendFile(
    delivery: DeliveryDocument,
    target: WebhookTargetDocument,
    secret: string,
    file: FileDocument,
    content: Content,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, inspector, webhooks } = this.#doors;
    const digest = await inspector.digest(file.id, 'sha-256', { start: 0, end: content.size - 1 });
    const message: WebhookMessage = {
      id: delivery.id,
      timestamp: Math.floor(clock.now() / 1000),
      body: formatDigestField({ algorithm: 'sha-256', value: digest }),
      file: {
        name: file.name,
        type: file.contentType ?? contentTypeFor(file.name),
        size: content.size,
        bytes: () => bytesOf(content),
      },
    };
    await webhooks.send(target.url, secret, message, signal);
  }
}
