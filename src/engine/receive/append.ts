/**
 * One request that appends, from its first byte to the last commit:
 *
 *     body → inbox → segments → workers → round: commit → round: commit → … → seal, if nothing is missing then
 */
import type { Readable } from 'node:stream';
import type { SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import { crc32Combine } from '../../protocol/crc32.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { MIB } from '../../protocol/sizes.ts';
import { BodyBuffer } from '../body/body-buffer.ts';
import { BodyWriter } from '../body/body-writer.ts';
import {
  assertAuthorized,
  checksumMismatch,
  chunkConflict,
  fileTooLarge,
  outOfBounds,
  revoked,
} from '../files/refusals.ts';
import type { FreshExtent } from '../uploads/commit.ts';
import type { Declaration, Handles, OpenUpload } from '../uploads/upload.ts';
import { planRanges, type ReceiveDeps } from './chunk-upload.ts';
import type { ActiveRequest, AppendIntent, Proof } from './upload-resource.ts';

/** Bytes that a round commits at most: enough that its two syncs cost little of the time in which they came. */
const ROUND_BYTES = 16 * MIB;
/** A slower sender has what it sent committed at least so often. */
const ROUND_MS = 2_000;

export class Append {
  readonly #deps: ReceiveDeps;

  constructor(deps: ReceiveDeps) {
    this.#deps = deps;
  }

  /**
   * Appends what `source` brings; the caller has made sure that `intent` fits. Throws as `Appends.append`; what arrived counts all the
   * same, unless there is a proof.
   */
  async run(source: Readable, upload: OpenUpload, intent: AppendIntent, running: ActiveRequest): Promise<void> {
    const { buffers: segments, stallWatch: watchdog } = this.#deps;
    let receiver: BodyWriter | null = null;
    let reading = false;
    const inbox = new BodyBuffer(
      source,
      () => segments.holdLimit(),
      (bytes) => watch.received(bytes),
      true,
    );
    segments.addReceiver();
    const watch = watchdog.watch({
      isHeld: () => !reading || inbox.isPaused || (receiver?.isWaiting ?? false),
      onCheck: () => {
        inbox.adjust();
        if (intent.isAuthorized?.() === false) inbox.fail(revoked());
      },
      fail: (error) => inbox.truncate(error),
    });
    running.attach(inbox);
    try {
      this.#deps.uploads.resume(upload);
      await this.#deps.uploads.using(upload, async (handles) => {
        const held = await upload.reserve({ start: intent.offset, end: MAX_OFFSET }, inbox.failed);
        try {
          upload.assertNotEnded();
          await this.#rounds(inbox, upload, handles, intent, (next) => {
            receiver = next;
            reading = next !== null;
          });
        } finally {
          held.release();
        }
      });
      if (upload.isComplete && !upload.sealed) await this.#deps.sealer.seal(upload);
    } finally {
      watch.stop();
      inbox.detach();
      segments.removeReceiver();
      this.#deps.sealLater(upload);
    }
    if (inbox.truncatedBy) throw inbox.truncatedBy;
  }

  /**
   * Reads to the end of the body, and has every round committed before the next begins. With a proof nothing is committed before the end
   * of the body, and nothing at all of one that breaks.
   */
  async #rounds(
    inbox: BodyBuffer,
    upload: OpenUpload,
    handles: Handles,
    intent: AppendIntent,
    reads: (receiver: BodyWriter | null) => void,
  ): Promise<void> {
    const { buffers: segments, committer, limits } = this.#deps;
    const declaration: Declaration = { size: intent.size, reprDigest: null, contentType: null };
    upload.check(declaration);
    const firstDeclared = intent.size !== null && upload.size === null;
    if (firstDeclared && !intent.proof) await committer.commit(upload, handles, [], declaration);
    let position = intent.offset;
    let crc = 0;
    let fresh: FreshExtent[] = [];
    const size = upload.size ?? intent.size;
    const last = (size ?? limits.maxFileBytes) - 1;
    const { write, giveBack } = this.#writeInto(upload, handles);
    try {
      for (;;) {
        const extent = { start: position, end: Math.min(position + ROUND_BYTES - 1, last) };
        const plan = extent.end < extent.start ? [] : planRanges(upload.stored, extent);
        const receiver = new BodyWriter(inbox, write, segments, extent, plan, true, ROUND_MS);
        reads(receiver);
        const received = await receiver.receive();
        if (received.conflict) throw chunkConflict();
        crc = crc32Combine(crc, received.crc32, receiver.bytesDone);
        position += receiver.bytesDone;
        fresh.push(...received.fresh);
        if (position > last) await this.#expectEnd(inbox, size, position);
        reads(null);
        const over = position > last || (inbox.ended && inbox.bytes === 0);
        if (intent.proof && (!over || inbox.truncatedBy)) {
          if (over) return;
          continue;
        }
        if (intent.proof)
          await this.#checkProof(upload, { start: intent.offset, end: position - 1 }, crc, intent.proof());
        const ends = over && intent.ends === true && !inbox.truncatedBy;
        const early = ends && size !== null && position !== size;
        const reprDigest = (ends && intent.reprDigest?.()) || null;
        const said: Declaration =
          ends && !early ? { ...declaration, size: position, isEnd: ends, reprDigest } : declaration;
        // Refused later, all of it would be there and be no file until a sweep finds it.
        if (over && !upload.document.resource?.final && upload.isCompleteWith(fresh, said))
          this.#deps.succession.assertFree(upload);
        await this.#commit(upload, handles, fresh, said, intent);
        if (early) throw endsEarly(position, size);
        giveBack();
        fresh = [];
        if (over) return;
        intent.onProgress?.(position);
      }
    } finally {
      giveBack();
    }
  }

  async #commit(
    upload: OpenUpload,
    handles: Handles,
    fresh: FreshExtent[],
    declaration: Declaration,
    intent: AppendIntent,
  ): Promise<void> {
    const { committer, current, usage, watchers } = this.#deps;
    const { owner, name, resource } = upload.document;
    assertAuthorized(intent.isAuthorized);
    await current.assert(intent.precondition, owner, name);
    if (fresh.length === 0 && !declaration.isEnd && upload.declared(declaration) === upload.document) return;
    // Who completes a file without a byte more is asked, too, whether there is room for it.
    if (fresh.length === 0) usage.check(owner, { bytes: 0, dayBytes: 0 });
    await committer.commit(upload, handles, fresh, declaration);
    if (resource?.partial) return;
    watchers.changed(owner, name);
    const bytes = fresh.reduce((sum, piece) => sum + lengthOf(piece), 0);
    const { document: file, stored, size: total } = upload;
    if (bytes > 0) this.#deps.emit({ type: 'chunk.received', file, fresh: bytes, received: stored.bytes, total });
  }

  /** @throws LadingError `checksum_mismatch` */
  async #checkProof(upload: OpenUpload, extent: Extent, crc: number, proof: Proof | null): Promise<void> {
    if (!proof) return;
    const { algorithm, value, header } = proof;
    const actual =
      algorithm === 'crc32' ? crcBytes(crc) : await this.#deps.inspector.digest(upload.id, algorithm, extent);
    if (Buffer.compare(actual, value) === 0) return;
    throw checksumMismatch(
      `The ${algorithm} is another one.`,
      Buffer.from(value).toString('base64'),
      Buffer.from(actual).toString('base64'),
      header === undefined ? {} : { header, algorithm, provided_digest: Buffer.from(value).toString('base64') },
    );
  }

  async #expectEnd(inbox: BodyBuffer, size: number | null, position: number): Promise<void> {
    if (inbox.bytes === 0 && !inbox.ended) await inbox.waitFor(1, null);
    if (inbox.bytes === 0) return;
    throw size === null
      ? fileTooLarge(position + inbox.bytes, this.#deps.limits.maxFileBytes)
      : outOfBounds(position, size);
  }

  #writeInto(upload: OpenUpload, { part }: Handles) {
    const { syncEarly, usage } = this.#deps;
    const reservations: (() => void)[] = [];
    const write = async (job: SegmentJob): Promise<SegmentResult> => {
      reservations.push(usage.reserve(upload, job.pieces, null));
      const result = await upload.write(part, job);
      // So that the commit has little left to wait for; a sync that fails here, the one of the commit makes good for.
      if (syncEarly && job.length > MIB / 2) part.sync().catch(() => {});
      return result;
    };
    const giveBack = (): void => {
      for (const give of reservations.splice(0)) give();
    };
    return { write, giveBack };
  }
}

/** As protocols write it: 4 bytes, the highest first. */
export function crcBytes(crc: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc >>> 0);
  return bytes;
}

function endsEarly(position: number, size: number): LadingError {
  return new LadingError(
    'size_conflict',
    `The size was declared as ${size}, but the last request ended at ${position}.`,
    {
      expected: size,
      actual: position,
    },
  );
}
