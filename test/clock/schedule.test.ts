import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { schedule } from '../../src/clock/schedule.ts';
import { type Machine, machine, STEPS } from '../support/product/clock.ts';

const HOUR = 3600;

/** Seconds of the monotonic time at which the work was done. */
function watched(t: TestContext, expression: string): { on: Machine; done: number[]; run(seconds: number): void } {
  t.mock.timers.enable({ apis: ['setInterval'] });
  // Half past a full hour.
  const on = machine(Date.UTC(2026, 5, 1, 12, 30));
  const done: number[] = [];
  const times = schedule(expression, on.clock, async () => void done.push(on.clock.monotonic() / 1000));
  times.start();
  t.after(() => times.stop());
  const run = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) {
      on.pass(1000);
      t.mock.timers.tick(1000);
    }
  };
  return { on, done, run };
}

test('the work runs in each second that the expression matches', async (t) => {
  const { done, run } = watched(t, '0 * * * *');
  run(HOUR);
  await Promise.resolve();
  assert.deepEqual(done, [HOUR / 2]);
});

test('a late check makes up for missed seconds once', (t) => {
  const { on, done } = watched(t, '*/10 * * * * *');
  on.pass(35_000);
  t.mock.timers.tick(1000);
  assert.deepEqual(done, [35]);
});

for (const by of STEPS) {
  test(`a date that is set by ${by / 60_000} minutes neither stops the work nor repeats it`, async (t) => {
    const { on, done, run } = watched(t, '0 * * * *');
    on.step(by);
    for (let hours = 0; hours < 3; hours += 1) {
      run(HOUR);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(done.length >= 2 && done.length <= 4, `${done.length} times`);
  });
}
