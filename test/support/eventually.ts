import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until the condition holds. Fails with `what` after a time that is enough for a busy machine. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let polls = 0; !(await holds()); polls += 1) {
    if (polls === 10_000) throw new Error(`did not happen: ${what}`);
    await sleep(5);
  }
}
