/**
 * The sweep: parks uploads for which nothing came for long, and ends those that were parked for long. A plain function; the timer, the
 * CLI and the tests call it.
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
  emit(happening: FileEvent): void;
  announce: Announce;
  warn(message: string, details: object): void;
}

export interface Swept {
  /** Uploads that were parked for long, removed with their bytes. */
  removed: number;
  /** Uploads sealed: of undeclared size and settled, or whole but not sealed when a disk was full. */
  sealed: number;
  /** Uploads that nothing came for, set aside with their bytes; absent when there were none. */
  parked?: number;
}

type Due = 'seal' | 'park' | 'remove';
const DONE = { seal: 'sealed', park: 'parked', remove: 'removed' } as const satisfies Record<Due, keyof Swept>;

export async function sweep(deps: SweepDeps): Promise<Swept> {
  const swept: Swept = { removed: 0, sealed: 0 };
  for (const upload of [...deps.uploads.all()]) {
    const due = dueOf(upload, deps);
    if (due === null) continue;
    try {
      if (due === 'seal') await deps.sealer.seal(upload, !upload.isComplete);
      else if (!(await (due === 'park' ? park : removeStale)(upload, deps))) continue;
      swept[DONE[due]] = (swept[DONE[due]] ?? 0) + 1;
    } catch (error) {
      deps.warn('the sweep could not end an upload; the next one tries again', { id: upload.id, error });
    }
  }
  return swept;
}

/** A chunk on its way counts as something that came. */
function dueOf(upload: OpenUpload, { clock, staleMs, removeMs, openEndedMs }: SweepDeps): Due | null {
  if (!upload.isVisible || upload.users > 0 || upload.endReason || upload.isClosed) return null;
  const quiet = clock.since(upload.lastCommitAt);
  if (upload.isComplete) return 'seal';
  if (isSealedBySilence(upload)) return quiet >= openEndedMs ? 'seal' : null;
  const { staleAt, resource } = upload.document;
  // A file has its bytes, so nobody goes on with it.
  if (resource?.joined) return quiet >= staleMs ? 'remove' : null;
  if (staleAt === undefined) return quiet >= staleMs ? 'park' : null;
  return removeMs !== null && clock.since(staleAt) >= removeMs ? 'remove' : null;
}

/**
 * By the way that chunks take, so that one that comes at this moment and this do not miss each other. False when it was not to be parked
 * any more.
 */
async function park(upload: OpenUpload, deps: SweepDeps): Promise<boolean> {
  const { clock, uploads, committer, watchers, emit: happened } = deps;
  const parking = { size: null, reprDigest: null, contentType: null, staleAt: clock.now() };
  const expiresAt = deps.removeMs === null ? null : parking.staleAt + deps.removeMs;
  const stale = (): AnnouncedEvent => ({
    type: 'upload.stale',
    file: upload.document,
    received: upload.stored.bytes,
    expiresAt: upload.isParked ? expiryOf(upload, deps) : expiresAt,
  });
  return await withAnnouncement(deps.announce, [stale()], async () => {
    if (dueOf(upload, deps) !== 'park') return false;
    await uploads.using(upload, (handles) => committer.commit(upload, handles, [], parking));
    if (!upload.isParked) return false;
    watchers.changed(upload.document.owner, upload.document.name);
    happened(stale());
    return true;
  });
}

/** False when it was not to be removed any more. */
async function removeStale(upload: OpenUpload, deps: SweepDeps): Promise<boolean> {
  const { uploads, committer, watchers, emit: happened } = deps;
  const { document: file, stored } = upload;
  const reason = new LadingError(
    'not_found',
    'Nothing came for this upload for too long, so it was removed. Start it again.',
  );
  const expired = { type: 'upload.expired' as const, file, received: stored.bytes };
  return await withAnnouncement(deps.announce, [expired], async () => {
    // Its client may have come back while that was written down, or somebody else has ended it.
    if (dueOf(upload, deps) !== 'remove') return false;
    await uploads.discard(upload, reason, () => committer.idle(upload));
    watchers.changed(file.owner, file.name);
    happened(expired);
    return true;
  });
}
