import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONFIRM_MS, isLongPast, LINGER_MS, SteadyClock } from '../../src/clock/clock.ts';
import { machine, STEPS } from '../support/product/clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

test('the clock returns the date, and a monotonic time that never decreases', () => {
  const clock = new SteadyClock();
  assert.ok(Math.abs(clock.now() - Date.now()) < 1_000);
  const first = clock.monotonic();
  assert.ok(clock.monotonic() >= first);
  assert.ok(clock.since(clock.now() - 5_000) < 5_000, 'of before this run only its own time is sure');
});

for (const by of STEPS) {
  test(`a step of ${by / MINUTE} minutes is logged, not accepted at once, and forgotten when the date is set back`, () => {
    const { clock, pass, step, warnings } = machine();
    const start = clock.now();
    pass(HOUR);
    step(by);
    assert.equal(clock.now(), start + HOUR);
    assert.equal(warnings.length, 1);
    pass(9 * MINUTE);
    assert.equal(clock.now(), start + HOUR + 9 * MINUTE);
    step(-by);
    assert.equal(clock.now(), start + HOUR + 9 * MINUTE);
    pass(MINUTE);
    assert.equal(clock.now(), start + HOUR + 10 * MINUTE);
    assert.equal(clock.since(start), HOUR + 10 * MINUTE);
    assert.equal(warnings.length, 2);
  });

  test(`a step of ${by / MINUTE} minutes is accepted when it has held, and the time since a date is still known`, () => {
    const { clock, pass, step, warnings } = machine();
    const start = clock.now();
    pass(HOUR);
    const before = clock.now();
    step(by);
    clock.now();
    pass(CONFIRM_MS);
    assert.equal(clock.now(), start + HOUR + by + CONFIRM_MS);
    assert.equal(warnings.length, 2);
    const after = clock.now();
    pass(MINUTE);
    assert.equal(clock.since(after), MINUTE);
    // Set back, a date may have been twice; then the later one counts.
    const passed = by > 0 ? CONFIRM_MS + MINUTE : Math.min(CONFIRM_MS + MINUTE, clock.now() - before);
    assert.equal(clock.since(before), passed > 0 ? passed : CONFIRM_MS + MINUTE);
    assert.ok(clock.since(start) <= HOUR + CONFIRM_MS + MINUTE);
  });
}

test('a second step restarts the ten minutes', () => {
  const { clock, pass, step } = machine();
  const start = clock.now();
  step(YEAR);
  clock.now();
  pass(8 * MINUTE);
  step(DAY);
  clock.now();
  pass(8 * MINUTE);
  assert.equal(clock.now(), start + 16 * MINUTE);
  pass(2 * MINUTE);
  assert.equal(clock.now(), start + 18 * MINUTE + YEAR + DAY);
});

test('small corrections are accepted and not logged', () => {
  const { clock, pass, step, warnings } = machine();
  const start = clock.now();
  for (const by of [1500, -1500, 300, -1999]) {
    pass(1000);
    step(by);
    clock.now();
  }
  assert.equal(clock.now(), start + 4000 + 1500 - 1500 + 300 - 1999);
  assert.deepEqual(warnings, []);
});

test('sleep of the machine counts as passed time', () => {
  const { clock, pass, sleep, step, warnings } = machine();
  const start = clock.now();
  pass(HOUR);
  sleep(8 * HOUR);
  assert.equal(clock.now(), start + 9 * HOUR);
  assert.equal(clock.since(start), 9 * HOUR);
  assert.deepEqual(warnings, []);
  step(8 * HOUR);
  assert.equal(clock.now(), start + 9 * HOUR, 'the same step again does not count as sleep');
  sleep(2 * HOUR);
  pass(MINUTE);
  assert.equal(clock.since(start), 11 * HOUR + MINUTE);
});

test('only the date shows how long the server was down, so that time does not count', () => {
  const { pass, step, restart } = machine();
  const first = restart();
  const written = first.now();
  assert.equal(first.proven, null, 'a date that was just read proves nothing');
  pass(HOUR);
  const known = first.proven;
  assert.equal(known, written + HOUR);
  step(YEAR);
  const second = restart(known);
  assert.equal(second.now(), written + HOUR + YEAR);
  assert.equal(second.since(written), HOUR);
  assert.equal(second.since(written + 2 * HOUR), 0);
  assert.ok(!isLongPast(second, written + 2 * HOUR), 'it may have lapsed, or the date is wrong');
  pass(HOUR);
  assert.equal(second.since(written), 2 * HOUR);
  assert.equal(second.since(second.now() + 1), 0);
  pass(LINGER_MS);
  assert.ok(isLongPast(second, written + 2 * HOUR));
});

test('a start before the date of the last run continues from that date until the new one has held', () => {
  const { clock, pass, step, restart, warnings } = machine();
  pass(HOUR);
  const known = clock.proven;
  assert.ok(known);
  step(-YEAR);
  const next = restart(known);
  assert.equal(next.now(), known);
  pass(MINUTE);
  assert.equal(next.now(), known + MINUTE);
  assert.equal(next.proven, null);
  pass(CONFIRM_MS);
  assert.equal(next.now(), known - YEAR + MINUTE + CONFIRM_MS);
  assert.equal(warnings.length, 2);
});

test('since() never exceeds the time that has passed, whatever date is set', () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 20 * MINUTE }) }),
    fc.record({ kind: fc.constant('step' as const), ms: fc.constantFrom(...STEPS, 1000, -1000) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const { clock, pass, step } = machine();
      const seen: { date: number; at: number }[] = [];
      for (const { kind, ms } of acts) {
        seen.push({ date: clock.now(), at: clock.monotonic() });
        if (kind === 'step') step(ms);
        else pass(ms);
        // Each small correction may be a second.
        const slack = 1000 * acts.length;
        for (const { date, at } of seen) assert.ok(clock.since(date) <= clock.monotonic() - at + slack);
      }
    }),
  );
});

test('the time line begins at the date and only advances, whatever date is set, also across restarts', () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 20 * MINUTE }) }),
    fc.record({ kind: fc.constant('step' as const), ms: fc.constantFrom(...STEPS, 1000, -1000) }),
    fc.record({ kind: fc.constant('keep' as const), ms: fc.constant(0) }),
    fc.record({ kind: fc.constant('restart' as const), ms: fc.integer({ min: 0, max: 3 * DAY }) }),
    fc.record({ kind: fc.constant('sleep' as const), ms: fc.integer({ min: MINUTE, max: DAY }) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const on = machine();
      const start = on.clock.steady();
      assert.equal(start, on.clock.now());
      let kept = on.clock.keep();
      let passed = 0;
      for (const { kind, ms } of acts) {
        if (kind === 'step') on.step(ms);
        else if (kind === 'keep') kept = on.clock.keep();
        else if (kind === 'sleep') on.sleep(ms);
        else on.pass(ms);
        if (kind === 'restart') on.restart(kept);
        if (kind !== 'step' && kind !== 'keep') passed += ms;
        const slack = 2000 * acts.length;
        assert.ok(Math.abs(on.clock.steady() - start - passed) <= slack);
        assert.ok(on.clock.passed(start) <= passed + slack);
        assert.ok(on.clock.passed(start) >= passed - slack, 'nothing of it is a guess');
      }
    }),
    { numRuns: 300 },
  );
});

test('only the date shows how long the machine was off, so that time removes nothing', () => {
  const on = machine();
  on.pass(HOUR);
  const kept = on.clock.keep();
  const before = on.clock.steady();
  on.reboot(3 * DAY);
  on.pass(MINUTE);
  const clock = on.restart(kept);
  assert.equal(clock.steady(), before + 3 * DAY + MINUTE);
  assert.equal(clock.passed(before), MINUTE, 'the machine itself has been up for so long');
  on.pass(HOUR);
  assert.equal(clock.passed(before), HOUR + MINUTE);
  const next = clock.keep();
  on.step(-YEAR);
  on.reboot(0);
  on.pass(MINUTE);
  assert.equal(on.restart(next).steady(), before + 3 * DAY + 2 * MINUTE + HOUR, 'it goes back for no date');
});

test('moments of the time line are shown on the current date', () => {
  const on = machine();
  const end = on.clock.steady() + DAY;
  const shown = on.clock.now() + DAY;
  assert.equal(on.clock.dateOf(end), shown);
  for (let n = 0; n < 5; n += 1) {
    on.pass(HOUR);
    on.step(n % 2 === 0 ? 300 : -200);
    assert.equal(on.clock.dateOf(end), shown, 'small corrections are not seen');
  }
  const kept = on.clock.keep();
  on.pass(MINUTE);
  assert.equal(on.restart(kept).dateOf(end), shown, 'nor are restarts');
  on.step(-YEAR);
  on.clock.now();
  on.pass(CONFIRM_MS);
  assert.ok(Math.abs(on.clock.dateOf(end) - (shown - YEAR)) <= 2000);
  const later = on.clock.keep();
  assert.ok(Math.abs(on.restart(later).dateOf(end) - (shown - YEAR)) <= 2000);
});
