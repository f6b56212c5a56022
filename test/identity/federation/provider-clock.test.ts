import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProviderClock } from '../../../src/identity/federation/provider-clock.ts';
import { formatHttpDate } from '../../../src/protocol/http/conditionals.ts';
import { handClock, machine } from '../../support/product/clock.ts';

const HOUR = 3_600_000;

/** A provider clock after one reply. */
async function heard(clock: ConstructorParameters<typeof ProviderClock>[0], date: string | null) {
  const there = new ProviderClock(clock);
  const headers = date === null ? {} : { date };
  await there.wrap(async () => new Response('', { headers }))('http://provider.test/');
  return there;
}

test('the validity of a token depends on the clock of its provider, not on that of the server', async () => {
  for (const off of [0, -365 * 24 * HOUR, 365 * 24 * HOUR]) {
    const clock = handClock();
    const start = clock.time + off;
    const there = await heard(clock, formatHttpDate(start));
    const exp = (start + HOUR) / 1000;
    const nbf = start / 1000;
    assert.equal(there.isWithin({ exp, nbf }), true);
    assert.equal(there.isWithin({ exp }), true);
    assert.equal(there.isWithin({ exp, nbf: nbf + 60 }), false, 'not valid yet');
    assert.equal(there.isWithin({ exp: nbf - 31 }), false, 'expired');
    assert.equal(there.isWithin({ exp: nbf - 29 }), true, 'within the tolerance');
    clock.pass(HOUR + 31_000);
    assert.equal(there.isWithin({ exp, nbf }), false);
  }
});

test('without a date from the provider, the clock of the server is used', async () => {
  const here = machine();
  for (const date of [null, 'yesterday']) {
    const there = await heard(here.clock, date);
    const now = here.clock.now() / 1000;
    here.step(365 * 24 * HOUR);
    assert.equal(there.isWithin({ exp: now + 60 }), true, 'a step of the clock has no effect');
    assert.equal(there.isWithin({ exp: now - 60 }), false);
    here.step(-365 * 24 * HOUR);
  }
});
