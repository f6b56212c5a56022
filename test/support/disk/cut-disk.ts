/**
 * A disk and worker threads that can be cut off, to simulate the crash of a process: later operations have no effect, while the files
 * stay for the next start. Only the lock can still be released, because this process holds it.
 */
import { sep } from 'node:path';
import type { Disk } from '../../../src/storage/disk/io/disk.ts';
import type { Threads } from '../../../src/storage/disk/pool.ts';
import { through } from '../wire/through.ts';

const LOCK = `${sep}lock`;

export interface CutDisk {
  disk: Disk;
  threads: Threads;
  /** Refuses all later operations; resolves when running ones have ended. */
  cut(): Promise<void>;
}

export function cuttable(disk: Disk, threads: Threads): CutDisk {
  const running = new Set<Promise<unknown>>();
  const lockFds = new Set<unknown>();
  let dead = false;

  async function run<T>(always: boolean, work: () => Promise<T>): Promise<T> {
    if (dead && !always) throw Object.assign(new Error('the process is dead'), { code: 'EIO' });
    const job = work();
    running.add(job);
    try {
      return await job;
    } finally {
      running.delete(job);
    }
  }

  return {
    disk: through(disk, async (operation, target, work) => {
      const lock = typeof target === 'string' ? target.includes(LOCK) : lockFds.has(target);
      const result = await run(lock || operation === 'close', work);
      if (operation === 'open' && lock) lockFds.add(result);
      if (operation === 'close') lockFds.delete(target);
      return result;
    }),
    threads: {
      segment: (task) => run(false, () => threads.segment(task)),
      inspect: (task) => run(false, () => threads.inspect(task)),
      close: () => threads.close(),
    },
    cut: async () => {
      dead = true;
      await Promise.allSettled(running);
    },
  };
}
