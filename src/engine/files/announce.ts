/** Announces changes of files before they happen, so that their events are delivered even if the server crashes right after a change. */
import type { Announcement, FileEvent } from '../../contracts/file-events.ts';

/** Events that are announced. Chunks and complete files need no announcement: the next start finds them. */
export type AnnouncedEvent = Exclude<FileEvent, { type: 'chunk.received' | 'file.completed' }>;
/** Null when no receiver wants the events. */
export type Announce = (events: readonly AnnouncedEvent[]) => Announcement | null;

/** Announces `events` on stable storage, then runs `change`, which emits some or all of them. */
export async function withAnnouncement<T>(
  announce: Announce,
  events: readonly AnnouncedEvent[],
  change: () => Promise<T>,
): Promise<T> {
  const announcement = announce(events);
  if (!announcement) return await change();
  await announcement.ready;
  try {
    return await change();
  } finally {
    announcement.end();
  }
}
