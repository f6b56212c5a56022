import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../../src/contracts/clock.ts';
import { LadingError } from '../../../src/errors.ts';
import { Rates } from '../../../src/identity/limits/rates.ts';
import { handClock, machine, STEPS } from '../../support/product/clock.ts';

function ratesOf<C extends Clock>(limit: number, clock: C) {
  const rates = new Rates('principal', limit, clock);
  /** The seconds to wait; null if the request was allowed. */
  const ask = (key = 'a'): number | null => {
    try {
      rates.take(key);
      return null;
    } catch (error) {
      assert.ok(error instanceof LadingError && error.code === 'rate_limited');
      assert.deepEqual(error.members['violated-policies'], ['principal']);
      return error.members.retry_after ?? null;
    }
  };
  return { rates, clock, ask };
}

test('a full bucket allows the requests of a minute, then the rate, and the stated wait is sufficient', () => {
  const { ask, clock } = ratesOf(6, handClock());
  for (let n = 0; n < 6; n += 1) assert.equal(ask(), null);
  assert.equal(ask(), 10);
  assert.equal(ask(), 10, 'refused requests take nothing');
  clock.time += 9_999;
  assert.equal(ask(), 1);
  clock.time += 1;
  assert.equal(ask(), null);
  assert.equal(ask(), 10);
  clock.time += 60_000;
  for (let n = 0; n < 6; n += 1) assert.equal(ask(), null);
});

test('keys have separate buckets', () => {
  const { ask } = ratesOf(1, handClock());
  assert.equal(ask('a'), null);
  assert.equal(ask('b'), null);
  assert.equal(ask('a'), 60);
});

test('the state of a bucket counts down and recovers', () => {
  const { rates, clock } = ratesOf(60, handClock());
  let bucket = rates.take('a');
  for (let n = 0; n < 9; n += 1) bucket = rates.take('a');
  assert.deepEqual(rates.stateOf(bucket), { remaining: 50, seconds: 10 });
  clock.time += 4_000;
  assert.deepEqual(rates.stateOf(bucket), { remaining: 54, seconds: 6 });
  clock.time += 3_600_000;
  assert.deepEqual(rates.stateOf(bucket), { remaining: 60, seconds: 0 });
});

test('no rhythm of requests exceeds the bucket and its refill', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.integer({ min: 1, max: 80 })), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), steps, (limit, all) => {
      const { ask, clock } = ratesOf(limit, handClock());
      const began = clock.time;
      let taken = 0;
      for (const [pause, requests] of all) {
        clock.time += pause;
        for (let n = 0; n < requests; n += 1) if (ask() === null) taken += 1;
        assert.ok(taken <= limit + ((clock.time - began) * limit) / 60_000 + 1e-3);
      }
    }),
  );
});

test('a change of the date does not affect the limit', () => {
  for (const by of STEPS) {
    const { clock, step, pass } = machine();
    const { ask } = ratesOf(2, clock);
    ask();
    ask();
    step(by);
    assert.equal(ask(), 30);
    pass(30_000);
    assert.equal(ask(), null);
    step(-by);
    assert.equal(ask(), 30);
  }
});

test('keys beyond the maximum are dropped, the least recently used first', () => {
  const { ask } = ratesOf(1, handClock());
  assert.equal(ask('busy'), null);
  for (let n = 0; n < 50_000; n += 1) {
    assert.equal(ask(`other-${n}`), null);
    if (n % 5_000 === 0) assert.notEqual(ask('busy'), null, `after ${n}`);
  }
});
