/**
 * The sweep: parks uploads that received no bytes for a long time, and removes those that were parked for a long time. The timer, an API
 * route and the tests call it.
 */
import type { Clock } from '../../contracts/clock.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import { LadingError } from '../../errors.ts';
import { type Announce, type AnnouncedEvent, withAnnouncement } from '../files/announce.ts';
import type { Watchers } from '../files/watchers.ts';
import { isSealedBySilence } from '../uploads/auto-seal.ts';
import type { Committer } from '../uploads/commit.ts';
import { expiryOf, type Lifetime } from '../uploads/lifetime.ts';
import type { Sealer } from '../uploads/seal.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';

export interface SweepDeps extends Lifetime {
  clock: Clock;
  uploads: UploadTable;
  committer: Committer;
  sealer: Sealer;
  watchers: Watchers;
  openEndedMs: number;
  emit(event: FileEvent): void;
  announce: Announce;
  warn(message: string, details: object): void;
}

export interface Swept {
  /** Number of uploads removed with their bytes, because they were parked for a long time. */
  removed: number;
  /** Number of uploads sealed: silent ones of undeclared size, and complete ones whose earlier seal failed. */
  sealed: number;
  /** Number of uploads parked; absent if 0. */
  parked?: number;
}

type Due = 'seal' | 'park' | 'remove';
const DONE = { seal: 'sealed', park: 'parked', remove: 'removed' } as const satisfies Record<Due, keyof Swept>;

export async function sweep(deps: SweepDeps): Promise<Swept> {
  const swept: Swept = { removed: 0, sealed: 0 };
  for (const { id, owner, name } of deps.uploads.failedRemovals.all()) {
    await deps.uploads.failedRemovals.retry(owner, name).catch((error: unknown) => {
      deps.warn('the sweep could not remove a deleted upload; the next sweep tries again', { id, error });
    });
  }
  for (const upload of [...deps.uploads.all()]) {
    const due = dueOf(upload, deps);
    if (due === null) continue;
    try {
      if (due === 'seal') await deps.sealer.seal(upload, !upload.isComplete);
      else if (!(await (due === 'park' ? park : removeStale)(upload, deps))) continue;
      swept[DONE[due]] = (swept[DONE[due]] ?? 0) + 1;
    } catch (error) {
      // A client or another file ended it meanwhile, so nothing is left to park.
      if (due === 'park' && upload.endReason) continue;
      deps.warn('the sweep could not finish an upload; the next sweep tries again', { id: upload.id, error });
    }
  }
  return swept;
}

/** What is due for this upload; null while a request uses it, or if nothing is due. */
function dueOf(upload: OpenUpload, { clock, staleMs, removeMs, openEndedMs }: SweepDeps): Due | null {
  if (!upload.isVisible || upload.users > 0 || upload.endReason || upload.isClosed) return null;
  const silentMs = clock.since(upload.lastCommitAt);
  if (upload.isComplete) return 'seal';
  if (isSealedBySilence(upload)) return silentMs >= openEndedMs ? 'seal' : null;
  const { staleAt, resource } = upload.document;
  // A concatenated file contains these bytes, so no client will continue this part.
  if (resource?.joined) return silentMs >= staleMs ? 'remove' : null;
  if (staleAt === undefined) return silentMs >= staleMs ? 'park' : null;
  return removeMs !== null && clock.since(staleAt) >= removeMs ? 'remove' : null;
}

/**
 * Parks an upload with a commit, which orders it with chunks that arrive at the same moment. False if the upload is no longer due.
 */
async function park(upload: OpenUpload, deps: SweepDeps): Promise<boolean> {
  const { clock, uploads, committer, watchers, emit } = deps;
  const parking = { size: null, reprDigest: null, contentType: null, staleAt: clock.now() };
  const expiresAt = deps.removeMs === null ? null : parking.staleAt + deps.removeMs;
  const staleEvent = (): AnnouncedEvent => ({
    type: 'upload.stale',
    file: upload.document,
    received: upload.stored.bytes,
    expiresAt: upload.isParked ? expiryOf(upload, deps) : expiresAt,
  });
  return await withAnnouncement(deps.announce, [staleEvent()], async () => {
    if (dueOf(upload, deps) !== 'park') return false;
    await uploads.using(upload, (handles) => committer.commit(upload, handles, [], parking));
    if (!upload.isParked) return false;
    watchers.notify(upload.document.owner, upload.document.name);
    emit(staleEvent());
    return true;
  });
}

/** Removes a stale upload. False if it is no longer due. */
async function removeStale(upload: OpenUpload, deps: SweepDeps): Promise<boolean> {
  const { uploads, committer, watchers, emit } = deps;
  const { document: file, stored } = upload;
  const reason = new LadingError(
    'not_found',
    'This upload received no bytes for too long and was removed. Start it again.',
  );
  const expired = { type: 'upload.expired' as const, file, received: stored.bytes };
  return await withAnnouncement(deps.announce, [expired], async () => {
    // While the event was announced, the client may have sent a chunk, or another request may have ended the upload.
    if (dueOf(upload, deps) !== 'remove') return false;
    await uploads.discard(upload, reason, () => committer.idle(upload));
    watchers.notify(file.owner, file.name);
    emit(expired);
    return true;
  });
}
