import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when the condition holds. Looks now and then, as long as a loaded machine may need; gives up loudly. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let looks = 0; !(await holds()); looks += 1) {
    if (looks === 10_000) throw new Error(`never came: ${what}`);
    await sleep(5);
  }
}
