/** The files of the principal, kept current by events. */
import { useEffect, useState } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { LadingError } from '../../errors.ts';
import { messageOf } from '../format.ts';
import type { Session } from '../session.ts';

/** Files per page of the listing. */
const PAGE_FILES = 1000;

const EVENT_TYPES = [
  'file.created',
  'chunk.received',
  'file.completed',
  'file.deleted',
  'upload.cancelled',
  'upload.stale',
  'upload.expired',
] as const;

/** Loads all files once and then applies events. Loads all files again when events were lost. */
export function useLiveFiles(
  session: Session,
  onEnded: (reason: string) => void,
  onError: (message: string | null) => void,
) {
  const [files, setFiles] = useState<FileStatus[] | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    const known = new Map<string, FileStatus>();
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => setFiles([...known.values()]);
    const refresh = async () => {
      timer = undefined;
      const names = [...stale];
      stale.clear();
      for (const name of names) {
        const file = await session.client.status(name, { signal });
        if (file.id === null) known.delete(name);
        else known.set(name, file);
      }
      show();
    };
    const load = async () => {
      known.clear();
      for await (const file of session.client.list({ limit: PAGE_FILES, signal })) known.set(file.filename, file);
      show();
    };
    const reload = () => {
      if (!signal.aborted) load().catch(() => {});
    };
    const follow = async () => {
      for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 15_000)) {
        try {
          // Subscribe before loading, so that no change in between is missed.
          const events = session.client.events({ types: EVENT_TYPES, signal });
          const first = events.next();
          first.catch(() => {});
          await load();
          onError(null);
          pause = 500;
          for (let next = await first; !next.done; next = await events.next()) {
            const event = next.value;
            if (event.type === 'lost') await load();
            else if (event.filename !== null && event.owner === session.subject) {
              stale.add(event.filename);
              timer ??= setTimeout(() => refresh().catch(reload), 250);
            }
          }
        } catch (problem) {
          if (signal.aborted) return;
          if (problem instanceof LadingError && problem.code === 'unauthorized') {
            onEnded('The session has ended. Sign in again.');
            return;
          }
          onError(`${messageOf(problem)} Retrying …`);
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    };
    void follow();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [session]);
  return files;
}
