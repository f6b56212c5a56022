import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../src/errors.ts';
import { Throttle } from '../../src/identity/throttle.ts';

function clocked(): { throttle: Throttle; pass(ms: number): void; wait(id: string, address: string): number } {
  let now = 1_700_000_000_000;
  const throttle = new Throttle({ now: () => now });
  return {
    throttle,
    pass: (ms) => {
      now += ms;
    },
    /** Seconds to wait; 0: may try now. */
    wait: (id, address) => {
      try {
        throttle.check(id, address);
        return 0;
      } catch (error) {
        assert.ok(error instanceof LadingError && error.code === 'rate_limited');
        return error.members.retry_after ?? Number.NaN;
      }
    },
  };
}

test('ten failures of a client are free, then one every ten seconds', () => {
  const { throttle, pass, wait } = clocked();
  for (let i = 0; i < 10; i += 1) {
    assert.equal(wait('a', '10.0.0.1'), 0);
    throttle.failed('a', `10.0.${i}.1`);
  }
  assert.equal(wait('a', '10.1.1.1'), 10);
  assert.equal(wait('b', '10.1.1.1'), 0);
  pass(9_999);
  assert.equal(wait('a', '10.1.1.1'), 1);
  pass(1);
  assert.equal(wait('a', '10.1.1.1'), 0);
  throttle.failed('a', '10.1.1.1');
  assert.equal(wait('a', '10.1.1.1'), 10);
  pass(3_600_000);
  for (let i = 0; i < 9; i += 1) throttle.failed('a', '10.1.1.1');
  assert.equal(wait('a', '10.1.1.1'), 0, 'everything was forgiven meanwhile');
});

test('a success clears the client but not the address', () => {
  const { throttle, wait } = clocked();
  for (let i = 0; i < 50; i += 1) throttle.failed(`guess-${i}`, '10.0.0.1');
  throttle.succeeded('guess-1');
  assert.equal(wait('new', '10.0.0.1'), 2);
  assert.equal(wait('new', '10.0.0.2'), 0);
  for (let i = 0; i < 10; i += 1) throttle.failed('a', '10.0.1.1');
  assert.notEqual(wait('a', '10.0.1.1'), 0);
  throttle.succeeded('a');
  assert.equal(wait('a', '10.0.1.1'), 0);
});

test('an IPv6 host is its /64', () => {
  const { throttle, wait } = clocked();
  for (let i = 0; i < 50; i += 1) throttle.failed(`g${i}`, `2001:db8::${(i + 1).toString(16)}`);
  assert.notEqual(wait('x', '2001:db8:0:0:ffff::1'), 0);
  assert.equal(wait('x', '2001:db8:0:1::1'), 0);
  for (let i = 0; i < 50; i += 1) throttle.failed(`h${i}`, '::ffff:10.0.0.1');
  assert.equal(wait('x', '::ffff:10.0.0.2'), 0);
});

test('a flood of made-up ids costs bounded memory and does not free an address', () => {
  const { throttle, wait } = clocked();
  for (let i = 0; i < 30_000; i += 1) throttle.failed(`id-${i}`, '10.0.0.1');
  assert.notEqual(wait('x', '10.0.0.1'), 0);
  assert.notEqual(wait(`id-29999`, '10.0.0.1'), 0);
});
