/**
 * A whole file in one stream whose length nobody knows beforehand (a part of a form, say):
 *
 *     bytes → segments → workers → end of the stream → checks → one manifest record → seal
 *
 * Nothing of it counts before its end: until then nobody sees it, and whatever breaks leaves what was there before. So an unfinished
 * upload of the name that nobody sends to ends only then, in the step in which the file is there.
 */
import type { Readable } from 'node:stream';
import type { Reader, SegmentJob, SegmentResult } from '../../contracts/blobs.ts';
import { type ErrorCode, LadingError } from '../../errors.ts';
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import type { Extent } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { BodyBuffer } from '../body/body-buffer.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import type { TrailingDigests } from '../body/trailing-digests.ts';
import { assertAuthorized, fileTooLarge, revoked, uploadInProgress } from '../files/refusals.ts';
import type { Precondition } from '../uploads/preconditions.ts';
import { uploadStatus } from '../uploads/status.ts';
import type { Handles, OpenUpload } from '../uploads/upload.ts';
import { freeNames } from './beside.ts';
import type { ReceiveDeps } from './chunk-upload.ts';

/** What is known of a whole file before its bytes. Sizes in bytes. */
export interface FileIntent {
  owner: string;
  name: string;
  /** Replace the complete file of this name; readers get the old one until the new one is complete. */
  overwrite: boolean;
  /**
   * With `overwrite`: nothing that is under way for the name refuses it. Of several that come at once each becomes the file, and the one
   * that is whole last stays.
   */
  newest?: boolean;
  /** A file or an upload that has the name stays: this one gets the name that this makes of it, with a number where that is taken too. */
  beside?: ((name: string) => string) | undefined;
  /** Null: by the name's extension. */
  contentType: string | null;
  /** Of the whole file. */
  reprDigest: Digest | null;
  /** The same, when it comes behind the bytes. */
  trailingDigests?: TrailingDigests | undefined;
  /** It has at least so many bytes, as far as one can tell. */
  minSize: number;
  /** False once whoever sends may do so no longer: then nothing of it counts, and what is still to come is not waited for. */
  isAuthorized?: () => boolean;
  /** Of the file that is to be replaced or made. */
  precondition?: Precondition | undefined;
}

/** What arrived, for a look at it before it counts. */
export interface Arrived extends Pick<Reader, 'read'> {
  size: number;
}

/** Refuses what arrived by throwing; what it resolves with is the file's media type, null for the intent's. */
export type Inspect = (arrived: Arrived) => Promise<string | null>;

/** The file of the name is no longer the one that was there when the request began. */
const LOST: ReadonlySet<string> = new Set<ErrorCode>(['not_found', 'already_exists']);

const ALL: Extent = { start: 0, end: MAX_OFFSET };

export class FileUploads {
  readonly #deps: ReceiveDeps;

  constructor(deps: ReceiveDeps) {
    this.#deps = deps;
  }

  /** Refuses what can be known before the bytes: `already_exists`, `file_too_large`, `quota_exceeded`, `precondition_failed`. */
  async admit({ owner, name, overwrite, newest, beside, minSize: leastSize, precondition }: FileIntent): Promise<void> {
    const { catalog, current, isIdle, limits, uploads, usage } = this.#deps;
    if (leastSize > limits.maxFileBytes) throw fileTooLarge(leastSize, limits.maxFileBytes);
    const upload = beside ? undefined : uploads.find(owner, name);
    const inUse = upload && (!upload.visible || (!upload.isContiguous && !isIdle(upload)));
    if (!newest && (inUse || (upload && !overwrite))) throw uploadInProgress();
    await current.assert(precondition, owner, name);
    if (!beside && !overwrite && (await catalog.find(owner, name)).sealed) throw alreadyThere();
    usage.check(owner, { bytes: leastSize, dayBytes: leastSize, openUploads: 1 });
  }

  /** Reads `source` to its end; resolves when the file is complete and on stable storage. */
  async receive(source: Readable, intent: FileIntent, inspect: Inspect): Promise<FileStatus> {
    const { buffers: segments, stallWatch: watchdog } = this.#deps;
    let receiver: BodyWriter | null = null;
    // Until the receiver begins, and after it, this side is what is waited for.
    let reading = false;
    segments.addReceiver();
    const inbox = new BodyBuffer(
      source,
      () => segments.holdLimit(),
      (bytes) => watch.received(bytes),
    );
    const watch = watchdog.watch({
      isHeld: () => !reading || inbox.isPaused || (receiver?.isWaiting ?? false),
      onCheck: () => {
        inbox.adjust();
        if (intent.isAuthorized?.() === false) inbox.fail(revoked());
      },
      fail: (error) => inbox.fail(error),
    });
    try {
      return await this.#enterNamed(intent, async (upload, handles) => {
        reading = true;
        const { write, giveBack } = this.#writeInto(upload, handles);
        try {
          receiver = new BodyWriter(inbox, write, segments, ALL, [{ extent: ALL, action: 'write' }], true);
          const received = await receiver.receive();
          reading = false;
          return await this.#commit(upload, handles, received, intent, inspect, giveBack);
        } finally {
          giveBack();
        }
      });
    } catch (error) {
      // Deleted, or made by somebody else, while the bytes came: whoever had a precondition is answered by it.
      if (error instanceof LadingError && LOST.has(error.code))
        await this.#deps.current.assert(intent.precondition, intent.owner, intent.name);
      throw error;
    } finally {
      watch.stop();
      inbox.detach();
      segments.removeReceiver();
    }
  }

  /** As `enter`, under the first name that nobody has where the intent leaves that open. */
  async #enterNamed(intent: FileIntent, work: (upload: OpenUpload, handles: Handles) => Promise<FileStatus>) {
    let working = false;
    for await (const name of intent.beside ? freeNames(this.#deps, intent, intent.beside) : []) {
      try {
        return await this.#enter({ ...intent, name }, (upload, handles) => {
          working = true;
          return work(upload, handles);
        });
      } catch (error) {
        const taken = error instanceof LadingError && error.code === 'already_exists';
        if (working || !taken) throw error;
      }
    }
    return await this.#enter(intent, work);
  }

  /** Runs `work` with an upload of its own, which leaves no trace unless something of it was committed. */
  async #enter(
    intent: FileIntent,
    work: (upload: OpenUpload, handles: Handles) => Promise<FileStatus>,
  ): Promise<FileStatus> {
    const { uploads, sealer } = this.#deps;
    const { overwrite, newest = false } = intent;
    for (;;) {
      const { upload, handles } = await this.#place(intent);
      try {
        if (overwrite && upload.visible && upload.isContiguous && upload.senders === 1) {
          // Nobody said that it is complete: should the new file never come, it still goes on.
          await sealer.seal(upload, true);
          continue;
        }
        const whole = upload.visible ? null : upload.tryReserve(ALL);
        if (!whole) throw uploadInProgress();
        upload.isFileUpload = true;
        upload.takesNameAlways = newest;
        try {
          return await work(upload, handles);
        } finally {
          upload.isFileUpload = false;
          upload.takesNameAlways = false;
          whole.release();
        }
      } finally {
        await uploads.leave(upload);
      }
    }
  }

  /** Beside unfinished uploads of the name, if there are any that may end; else at the name itself. The newest keeps it from nobody. */
  async #place({ owner, name, overwrite, newest }: FileIntent): Promise<{ upload: OpenUpload; handles: Handles }> {
    const { uploads, isIdle } = this.#deps;
    const there = uploads.find(owner, name);
    const idle = there ? isIdle(there) && !there.isContiguous : uploads.waitingFor(owner, name).length > 0;
    if (newest || (overwrite && idle)) return await uploads.enterWaiting(owner, name);
    const { target, handles } = await uploads.enter(owner, name, overwrite);
    if ('sealed' in target || !handles) throw alreadyThere();
    return { upload: target.upload, handles };
  }

  /** How segments are written: each only if the file may still grow by it. */
  #writeInto(upload: OpenUpload, { part }: Handles) {
    const { limits, syncEarly, usage } = this.#deps;
    const reservations: (() => void)[] = [];
    const write = async (job: SegmentJob): Promise<SegmentResult> => {
      const size = job.start + job.length;
      if (size > limits.maxFileBytes) throw fileTooLarge(size, limits.maxFileBytes);
      reservations.push(usage.reserve(upload, job.pieces, null));
      const result = await upload.write(part, job);
      // So that the commit has little left to wait for; a sync that fails here, the one of the commit makes good for.
      if (syncEarly) part.sync().catch(() => {});
      return result;
    };
    const giveBack = (): void => {
      for (const give of reservations.splice(0)) give();
    };
    return { write, giveBack };
  }

  async #commit(
    upload: OpenUpload,
    handles: Handles,
    { fresh }: Received,
    intent: FileIntent,
    inspect: Inspect,
    giveBack: () => void,
  ): Promise<FileStatus> {
    const { catalog, committer, current, limits, sealer } = this.#deps;
    const {
      owner,
      name,
      overwrite,
      contentType,
      reprDigest: before,
      trailingDigests: behind,
      isAuthorized: stands,
      precondition,
    } = intent;
    const size = (fresh.at(-1)?.end ?? -1) + 1;
    // One content is the whole file.
    const reprDigest = behind?.reprDigest?.() ?? behind?.contentDigest?.() ?? before;
    const found = await inspect({ size, read: (into, position) => handles.part.read(into, position) });
    upload.assertNotEnded();
    assertAuthorized(stands);
    const judge = async (): Promise<void> => {
      await current.assert(precondition, owner, name);
      // It stepped aside for another one, which may be complete by now.
      if (!overwrite && upload.document.aside && (await catalog.find(owner, name)).sealed) throw alreadyThere();
    };
    await judge();
    const declaration = { size, reprDigest, contentType: found ?? contentType, atOnce: true };
    await committer.commit(upload, handles, fresh, declaration);
    giveBack();
    await sealer.seal(upload, false, judge);
    return uploadStatus(upload, limits);
  }
}

function alreadyThere(): LadingError {
  return new LadingError('already_exists', 'A file of this name is there. Send overwrite=true to replace it.');
}
