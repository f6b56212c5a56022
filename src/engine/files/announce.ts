/** Says what is about to happen to files before it does, for those who are to hear of it even if the server is killed right after. */
import type { Announcement, FileEvent } from '../../contracts/file-events.ts';

/** What is said before it happens; chunks and complete files are found again otherwise. */
export type AnnouncedEvent = Exclude<FileEvent, { type: 'chunk.received' | 'file.completed' }>;
/** Null when nobody is to hear of it. */
export type Announce = (happenings: readonly AnnouncedEvent[]) => Announcement | null;

/** Runs `change`, in which some of `happenings` happen, after they are announced on stable storage. */
export async function withAnnouncement<T>(
  announce: Announce,
  happenings: readonly AnnouncedEvent[],
  change: () => Promise<T>,
): Promise<T> {
  const announcement = announce(happenings);
  if (!announcement) return await change();
  await announcement.ready;
  try {
    return await change();
  } finally {
    announcement.end();
  }
}
