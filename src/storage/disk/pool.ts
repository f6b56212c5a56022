/**
 * The worker threads: a pool for segments, one thread for long reads, and one for short reads that is started when it is first needed. So
 * a digest over a terabyte delays neither a chunk nor the Content-Digest of a chunk. Every option is set, because the defaults of Piscina
 * are an unbounded queue and one and a half threads per core. Jobs are never aborted, because Piscina would end the whole thread with its
 * other jobs.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { InspectOutcome, InspectTask } from '../../../workers/inspect.ts';
import type { SegmentOutcome, SegmentTask } from '../../../workers/segment.ts';
import { LadingError } from '../../errors.ts';
import { lengthOf } from '../../protocol/extents.ts';

export interface PoolOptions {
  /** Threads for segments. Default: one per core. */
  workers?: number;
  /** Maximum number of jobs that wait for a segment thread. Only a safeguard: the number of buffers limits them much earlier. */
  maxQueue?: number;
}

/** The jobs that storage runs in threads. Tests wrap it to inject failures. */
export interface Threads {
  /** Transfers the buffer of the task. The outcome returns it. */
  segment(task: SegmentTask): Promise<SegmentOutcome>;
  inspect(task: InspectTask): Promise<InspectOutcome>;
  /** Waits for running segments, and up to `INSPECT_GRACE_MS` for reads, which change nothing and can be repeated. */
  close(): Promise<void>;
}

/** Jobs queued per thread, so that it finds its next job without waiting for the main thread. Measured as fastest for 64 KiB chunks. */
const TASKS_PER_WORKER = 4;
const MAX_QUEUE = 65_536;
const MAX_INSPECTIONS = 16_384;
const INSPECT_GRACE_MS = 5_000;
const START_GRACE_MS = 10_000;
const NO_SEGMENT: SegmentTask = { fd: -1, buffer: new ArrayBuffer(0), length: 0, start: 0, plan: [] };
const NO_READ: InspectTask = {
  kind: 'digest',
  algorithm: 'sha-256',
  parts: [],
  prefix: new Uint8Array(0),
};
/** Reads up to this size are short. */
const SHORT_READ_BYTES = 64 * 1024 ** 2;
const IDLE_THREAD_MS = 60_000;

/** Starts the worker threads. */
export function startThreads(options: PoolOptions = {}): Threads {
  const segments = pool(
    'segment',
    options.workers ?? availableParallelism(),
    TASKS_PER_WORKER,
    options.maxQueue ?? MAX_QUEUE,
  );
  const longReads = pool('inspect', 1, 1, MAX_INSPECTIONS);
  const shortReads = pool('inspect', 1, 1, MAX_INSPECTIONS, 0);
  // One empty job per thread: they are done when all threads have loaded their modules.
  const started = Promise.allSettled([
    ...Array.from({ length: segments.options.minThreads }, () => segments.run(NO_SEGMENT)),
    longReads.run(NO_READ),
  ]);
  const running = new Set<Promise<unknown>>();
  const reading = new Set<Promise<unknown>>();
  let closed: Promise<void> | null = null;

  function track<T>(set: Set<Promise<unknown>>, job: Promise<T>): Promise<T> {
    const settled: Promise<void> = job
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => void set.delete(settled));
    set.add(settled);
    return job;
  }

  async function close(): Promise<void> {
    // Node 20 can crash when a thread is terminated while it loads its modules.
    await Promise.race([started, delay(START_GRACE_MS)]);
    await Promise.all(running);
    await segments.destroy();
    await Promise.race([Promise.all(reading), delay(INSPECT_GRACE_MS)]);
    await Promise.all([longReads.destroy(), shortReads.destroy()]);
  }

  return {
    segment: (task) => {
      assertAccepting(closed !== null, segments);
      return track(running, segments.run(task, { transferList: [task.buffer] }));
    },
    inspect: (task) => {
      const lane = isShort(task) ? shortReads : longReads;
      assertAccepting(closed !== null, lane);
      return track(reading, lane.run(task));
    },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

function isShort(task: InspectTask): boolean {
  if (task.kind !== 'digest') return false;
  return task.parts.reduce((sum, { extent }) => sum + lengthOf(extent), 0) <= SHORT_READ_BYTES;
}

function pool(name: string, threads: number, tasksPerWorker: number, maxQueue: number, minThreads = threads): Piscina {
  return new Piscina({
    filename: fileURLToPath(new URL(`../../../workers/${name}.js`, import.meta.url)),
    minThreads,
    maxThreads: threads,
    idleTimeout: minThreads === threads ? Number.POSITIVE_INFINITY : IDLE_THREAD_MS,
    concurrentTasksPerWorker: tasksPerWorker,
    maxQueue,
    atomics: 'sync',
    recordTiming: false,
    // The jobs need no environment variable, and some contain secrets.
    env: {},
    execArgv: [],
    // Descriptors belong to the main thread; workers only use them.
    trackUnmanagedFds: false,
  });
}

function assertAccepting(closed: boolean, pool: Piscina): void {
  if (closed)
    throw new LadingError('shutting_down', 'The server is stopping. Send the chunk again when it is available.', {
      retry_after: 5,
    });
  if (pool.queueSize >= pool.options.maxQueue) {
    throw new LadingError('overloaded', 'The server is overloaded. Try again soon.', { retry_after: 1 });
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
