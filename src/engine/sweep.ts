/** The sweep: ends uploads for which nothing came for too long. A plain function; the timer, the CLI and the tests call it. */
import type { Clock, FileHappening } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import type { Committer } from './committer.ts';
import type { Sealer } from './seal.ts';
import type { OpenUpload } from './upload.ts';
import type { Uploads } from './uploads.ts';
import type { Watchers } from './watchers.ts';

export interface SweepDeps {
  clock: Clock;
  uploads: Uploads;
  committer: Committer;
  sealer: Sealer;
  watchers: Watchers;
  staleMs: number;
  openEndedMs: number;
  happened(happening: FileHappening): void;
  warn(message: string, details: object): void;
}

export interface Swept {
  /** Stale uploads removed with their bytes. */
  removed: number;
  /** Uploads sealed: of undeclared size and settled, or whole but not sealed when a disk was full. */
  sealed: number;
}

export async function sweep(deps: SweepDeps): Promise<Swept> {
  const swept: Swept = { removed: 0, sealed: 0 };
  for (const upload of [...deps.uploads.all()]) {
    const due = dueOf(upload, deps);
    if (due === null) continue;
    try {
      if (due === 'seal') {
        await deps.sealer.seal(upload);
        swept.sealed += 1;
      } else {
        await removeStale(upload, deps);
        swept.removed += 1;
      }
    } catch (error) {
      deps.warn('the sweep could not end an upload; the next one tries again', { id: upload.id, error });
    }
  }
  return swept;
}

/** A chunk on its way counts as something that came. */
function dueOf(upload: OpenUpload, { clock, staleMs, openEndedMs }: SweepDeps): 'seal' | 'remove' | null {
  if (!upload.visible || upload.users > 0 || upload.over || upload.sealing) return null;
  const quiet = clock.since(upload.lastCommitAt);
  if (upload.covered) return 'seal';
  if (settles(upload)) return quiet >= openEndedMs ? 'seal' : null;
  return quiet >= staleMs ? 'remove' : null;
}

/** Undeclared size without a gap, its digest to be checked or not: sealed when nothing more comes. */
export function settles(upload: OpenUpload): boolean {
  const { bytes, end } = upload.stored;
  return upload.size === null && !upload.document.resource && bytes > 0 && bytes === end;
}

async function removeStale(upload: OpenUpload, { uploads, committer, watchers, happened }: SweepDeps): Promise<void> {
  const { owner, name } = upload.document;
  const reason = new LadingError(
    'not_found',
    'Nothing came for this upload for too long, so it was removed. Start it again.',
  );
  await uploads.discard(upload, reason, () => committer.idle(upload));
  watchers.changed(owner, name);
  happened({ type: 'upload.expired', file: upload.document });
}
