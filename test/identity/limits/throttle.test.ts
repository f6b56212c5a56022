import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { type SecretTraits, Throttle } from '../../../src/identity/limits/throttle.ts';
import { clockOf, machine, STEPS } from '../../support/product/clock.ts';

const CHOSEN = { chosen: true };

function clocked(): {
  throttle: Throttle;
  pass(ms: number): void;
  wait(id: string, address: string, tried?: SecretTraits): number;
} {
  let now = 1_700_000_000_000;
  const throttle = new Throttle(clockOf(() => now));
  return {
    throttle,
    pass: (ms) => {
      now += ms;
    },
    /** Seconds to wait; 0 if an attempt is allowed now. */
    wait: (id, address, tried) => {
      try {
        throttle.check(id, address, tried);
        return 0;
      } catch (error) {
        assert.ok(error instanceof LadingError && error.code === 'rate_limited');
        return error.members.retry_after ?? Number.NaN;
      }
    },
  };
}

test('after ten failures from one network, attempts are allowed every ten seconds, and other networks need not wait', () => {
  const { throttle, pass, wait } = clocked();
  for (let i = 0; i < 10; i += 1) {
    assert.equal(wait('a', '10.0.0.1'), 0);
    throttle.recordFailure('a', '10.0.0.1');
  }
  assert.equal(wait('a', '10.0.0.1'), 10);
  assert.equal(wait('b', '10.0.0.1'), 0);
  assert.equal(wait('a', '10.1.1.1'), 0);
  pass(9_999);
  assert.equal(wait('a', '10.0.0.1'), 1);
  pass(1);
  assert.equal(wait('a', '10.0.0.1'), 0);
  for (let i = 0; i < 1000; i += 1) throttle.recordFailure('a', '10.0.0.1');
  assert.equal(wait('a', '10.0.0.1'), 10, 'further failures do not extend the wait');
  pass(3_600_000);
  for (let i = 0; i < 9; i += 1) throttle.recordFailure('a', '10.0.0.1');
  assert.equal(wait('a', '10.0.0.1'), 0, 'the failures have expired');
});

test('guesses from elsewhere never delay the owner of a generated secret or a network that signed in before', async () => {
  const { throttle, pass } = clocked();
  const guess = (id: string, n: number, tried: SecretTraits) =>
    throttle.attempt(id, `10.0.${n % 15}.1`, async () => null, tried).catch(() => null);
  const owner = (id: string, address: string, tried: SecretTraits) =>
    throttle.attempt(id, address, async () => 'in', tried);
  assert.equal(await owner('person', '10.9.9.9', CHOSEN), 'in');
  for (let n = 0; n < 1000; n += 1) {
    await guess('device', n, {});
    await guess('person', n, CHOSEN);
    if (n > 150) pass(600);
  }
  assert.equal(await owner('device', '10.9.9.8', {}), 'in');
  assert.equal(await owner('person', '10.9.9.9', CHOSEN), 'in', 'from a network that signed in before');
  assert.equal(await owner('person', '10.9.9.8', { chosen: true, known: () => true }), 'in', 'by other records');
});

test('after a hundred guesses of a password from everywhere, waits grow to a minute', async () => {
  const { throttle, pass, wait } = clocked();
  const guess = (n: number) => throttle.attempt('a', `10.${n >> 8}.${n & 255}.1`, async () => null, CHOSEN);
  for (let n = 0; n < 100; n += 1) await guess(n);
  assert.equal(wait('a', '10.9.9.9', CHOSEN), 1);
  assert.equal(wait('b', '10.9.9.9', CHOSEN), 0);
  const waits: number[] = [];
  for (let n = 100; n < 112; n += 1) {
    const seconds = wait('a', '10.9.9.9', CHOSEN);
    waits.push(seconds);
    pass(seconds * 1000);
    await guess(n);
  }
  assert.deepEqual(
    waits,
    waits.toSorted((a, b) => a - b),
    String(waits),
  );
  assert.ok(Math.max(...waits) >= 16 && Math.max(...waits) <= 60, String(waits));
  pass(60_000);
  assert.equal(wait('a', '10.9.9.9', CHOSEN), 0, 'the wait does not grow further');
  pass(200 * 60_000);
  for (let n = 0; n < 99; n += 1) await guess(n);
  assert.equal(wait('a', '10.9.9.9', CHOSEN), 0, 'the failures have expired');
});

test('concurrent guesses from many networks are no faster than sequential ones', async () => {
  const { throttle } = clocked();
  let checked = 0;
  const guess = (n: number) =>
    throttle.attempt(
      'a',
      `10.${n >> 8}.${n & 255}.1`,
      async () => {
        checked += 1;
        await new Promise((resolve) => setImmediate(resolve));
        return null;
      },
      CHOSEN,
    );
  await Promise.allSettled(Array.from({ length: 500 }, (_, n) => guess(n)));
  assert.ok(checked <= 101, `${checked} guesses were checked`);
});

test('a failing device does not lock out others that signed in from its address before', async () => {
  const { throttle, wait } = clocked();
  assert.equal(await throttle.attempt('b', '10.0.0.1', async () => 'in'), 'in');
  for (let n = 0; n < 60; n += 1) await throttle.attempt(`broken-${n}`, '10.0.0.1', async () => null).catch(() => null);
  assert.notEqual(wait('new', '10.0.0.1'), 0);
  assert.equal(wait('b', '10.0.0.1'), 0);
});

test('a success clears the failures of the client, but not those of the address', () => {
  const { throttle, wait } = clocked();
  for (let i = 0; i < 50; i += 1) throttle.recordFailure(`guess-${i}`, '10.0.0.1');
  throttle.recordSuccess('guess-1', '10.0.0.1');
  assert.equal(wait('new', '10.0.0.1'), 2);
  assert.equal(wait('new', '10.0.0.2'), 0);
  for (let i = 0; i < 10; i += 1) throttle.recordFailure('a', '10.0.1.1');
  assert.notEqual(wait('a', '10.0.1.1'), 0);
  throttle.recordSuccess('a', '10.0.1.1');
  assert.equal(wait('a', '10.0.1.1'), 0);
});

test('concurrent guesses from one network are no faster than sequential ones', async () => {
  const { throttle } = clocked();
  let checked = 0;
  const guess = (): Promise<string> =>
    throttle
      .attempt('a', '10.0.0.1', async () => {
        checked += 1;
        await new Promise((resolve) => setImmediate(resolve));
        return null;
      })
      .then(
        () => 'wrong',
        (error: LadingError) => error.code,
      );
  const outcomes = await Promise.all(Array.from({ length: 200 }, guess));
  assert.ok(checked <= 19, `${checked} guesses were checked`);
  assert.equal(outcomes.filter((outcome) => outcome === 'wrong').length, checked);
  assert.ok(outcomes.includes('rate_limited'));
  assert.ok(outcomes.includes('overloaded'), 'the queue is limited');
});

test('many concurrent correct sign-ins of one client all succeed, a few at a time', async () => {
  const { throttle } = clocked();
  let running = 0;
  let most = 0;
  const signIn = (): Promise<string | null> =>
    throttle.attempt('a', '10.0.0.1', async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return 'a';
    });
  const found = await Promise.all(Array.from({ length: 60 }, signIn));
  assert.ok(found.every((one) => one === 'a'));
  assert.ok(most <= 10);
  await assert.rejects(
    throttle.attempt('a', '10.0.0.1', () => Promise.reject(new Error('the store'))),
    /the store/,
  );
  assert.equal(await signIn(), 'a', 'a failed check frees its slot');
});

test('an IPv6 host counts as its /64', () => {
  const { throttle, wait } = clocked();
  for (let i = 0; i < 50; i += 1) throttle.recordFailure(`g${i}`, `2001:db8::${(i + 1).toString(16)}`);
  assert.notEqual(wait('x', '2001:db8:0:0:ffff::1'), 0);
  assert.equal(wait('x', '2001:db8:0:1::1'), 0);
  for (let i = 0; i < 50; i += 1) throttle.recordFailure(`h${i}`, '::ffff:10.0.0.1');
  assert.equal(wait('x', '::ffff:10.0.0.2'), 0);
});

test('many invented ids take bounded memory and do not clear the failures of an address', () => {
  const { throttle, wait } = clocked();
  for (let i = 0; i < 30_000; i += 1) throttle.recordFailure(`id-${i}`, '10.0.0.1');
  assert.notEqual(wait('x', '10.0.0.1'), 0);
  assert.notEqual(wait(`id-29999`, '10.0.0.1'), 0);
});

test('a change of the date neither shortens nor extends a wait', () => {
  for (const by of STEPS) {
    const { clock, step, pass } = machine();
    const throttle = new Throttle(clock);
    for (let i = 0; i < 10; i += 1) throttle.recordFailure('a', '10.0.0.1');
    step(by);
    assert.throws(() => throttle.check('a', '10.0.0.1'), { code: 'rate_limited' });
    pass(10_000);
    throttle.check('a', '10.0.0.1');
    step(-by);
    throttle.recordFailure('a', '10.0.0.1');
    assert.throws(() => throttle.check('a', '10.0.0.1'), { code: 'rate_limited' });
  }
});
