/**
 * Syncs the bytes of an unfinished file. After a failed sync the system may consider bytes stored that are not, and the next sync would
 * succeed without them. So they are written again before the next sync.
 */
import type { FileDirectories } from './directories.ts';
import type { Disk } from './io/disk.ts';
import { beginSync, type FileStates, type WrittenExtent } from './states.ts';

export interface PartSyncDeps {
  disk: Disk;
  directories: FileDirectories;
  states: FileStates;
  /**
   * Writes bytes again that the system may wrongly consider stored: those of `extents`; null: those of the whole manifest. Throws when
   * the system no longer has them.
   */
  rewrite(id: string, fd: number, extents: readonly WrittenExtent[] | null): Promise<void>;
}

/**
 * Makes all bytes written to the part durable, and its directory entry.
 * @param listed true when only bytes that the manifest lists matter, as for a seal. False when bytes of chunks matter, too, that are listed
 * after this sync
 */
export async function syncPart(deps: PartSyncDeps, id: string, fd: number, listed: boolean): Promise<void> {
  const { disk, directories, states, rewrite } = deps;
  const state = states.of(id);
  const sync = beginSync(state);
  if (state.needsRewrite) {
    if (!listed && state.fresh === null) throw new Error('it is unknown which bytes a failed sync lost');
    await rewrite(id, fd, listed ? null : state.fresh);
  }
  try {
    await disk.datasync(fd);
  } catch (error) {
    state.needsRewrite = true;
    throw error;
  }
  sync.done();
  await directories.sync(id);
}
