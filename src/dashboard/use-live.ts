/** Data that follows the server. It is loaded once, and again after each event that may change it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { LadingError } from '../errors.ts';
import type { EventType, LadingEvent } from '../protocol/schemas/event.ts';
import { messageOf } from './format.ts';
import type { PageProps } from './page.ts';

/** Wait this long for further events before loading again. */
const DEBOUNCE_MS = 300;
const MAX_PAUSE_MS = 15_000;

/** The loaded data. */
export interface Live<T> {
  /** Null until it is loaded for the first time. */
  value: T | null;
  error: string | null;
  /** Loads again without waiting for an event, after a change by this page. */
  refresh(): void;
}

/** What to load, and when to load it again. */
export interface LiveOptions<T> {
  load(signal: AbortSignal): Promise<T>;
  /** Types of events after which to load again. */
  types: readonly EventType[];
  /** Also load at this interval, for changes without events; null for never. */
  everyMs?: number | null;
  /** Called with each event. */
  onEvent?: (event: LadingEvent) => void;
  /** Load again when this changes. */
  key?: string;
}

/** Loads data and keeps it current while the component is mounted. */
export function useLive<T>({ session, onEnded }: PageProps, options: LiveOptions<T>): Live<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const latest = useRef(options);
  latest.current = options;
  const refresh = useRef(() => {});
  const { types, everyMs = null, key = '' } = options;
  const typeList = types.join(',');
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let loading: Promise<void> | null = null;
    const failed = (problem: unknown) => {
      if (signal.aborted) return;
      if (problem instanceof LadingError && problem.code === 'unauthorized')
        onEnded('The session has ended. Sign in again.');
      else setError(messageOf(problem));
    };
    const load = async () => {
      timer = undefined;
      // One load at a time. The next one includes changes that this one missed.
      await loading;
      loading = latest.current.load(signal).then((next) => {
        setValue(next);
        setError(null);
      }, failed);
      await loading;
      if (everyMs !== null && !signal.aborted) timer ??= setTimeout(() => void load(), everyMs);
    };
    const schedule = () => {
      if (everyMs !== null) clearTimeout(timer);
      if (everyMs !== null || timer === undefined) timer = setTimeout(() => void load(), DEBOUNCE_MS);
    };
    refresh.current = schedule;
    const follow = async () => {
      for (let pause = 500; !signal.aborted; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
        try {
          const events = session.client.events({ types, signal });
          for (let next = await events.next(); !next.done; next = await events.next()) {
            pause = 500;
            if (next.value.type !== 'lost') latest.current.onEvent?.(next.value);
            schedule();
          }
        } catch (problem) {
          failed(problem);
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
        if (!signal.aborted) schedule();
      }
    };
    void load();
    if (typeList !== '') void follow();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [session, typeList, everyMs, key]);
  return { value, error, refresh: () => refresh.current() };
}

/** Collects all items of a generator. */
export async function collectAll<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
