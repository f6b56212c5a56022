import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { LINGER_MS } from '../../../src/clock/clock.ts';
import { GRACE_MS, type IssuedSession, Sessions } from '../../../src/identity/credentials/sessions.ts';
import { checkSession } from '../../../src/records/checks/identity.ts';
import { failingStore } from '../../support/disk/failing-store.ts';
import { handClock } from '../../support/product/clock.ts';

const LIFE = 3600;
const anna = { kind: 'person', id: 'anna' } as const;

async function bench(t: TestContext) {
  const { store, fail } = await failingStore(t, 'sign-ins', checkSession);
  const clock = handClock();
  const reopen = () => Sessions.open(store, clock, LIFE);
  return { signIns: await reopen(), store, fail, clock, reopen };
}

const REFUSED = { code: 'unauthorized', message: /sign in again/ };

test('a refresh token works once and returns the next one', async (t) => {
  const { signIns, store, clock } = await bench(t);
  const first = await signIns.begin(anna);
  assert.match(first.refreshToken, /^lrt_[0-9a-f]{32}_[\w-]{43}$/);
  let last = first;
  for (let i = 0; i < 5; i += 1) {
    clock.pass(1000);
    const next = await signIns.refresh(last.refreshToken);
    assert.equal(next.session.id, first.session.id);
    assert.equal(next.session.expiresAt, clock.now() + LIFE * 1000);
    assert.notEqual(next.refreshToken, last.refreshToken);
    assert.equal(signIns.findByToken(last.refreshToken), null);
    assert.equal(signIns.findByToken(next.refreshToken)?.id, first.session.id);
    last = next;
  }
  const kept = JSON.stringify(await store.list());
  for (const { refreshToken } of [first, last]) assert.ok(!kept.includes(refreshToken.slice(-43)));
});

test('reuse of a token after the grace period ends its session, and no other', async (t) => {
  const { signIns, clock, reopen } = await bench(t);
  const other = await signIns.begin(anna);
  const stolen = await signIns.begin(anna);
  const thief = await signIns.refresh(stolen.refreshToken);
  clock.pass(GRACE_MS);
  await assert.rejects(signIns.refresh(stolen.refreshToken), REFUSED);
  assert.equal(signIns.isAlive(stolen.session.id), false);
  for (const known of [signIns, await reopen()]) {
    await assert.rejects(known.refresh(thief.refreshToken), REFUSED);
    assert.equal(known.isAlive(other.session.id), true);
  }
});

test('reuse of a token from before a restart ends the session', async (t) => {
  const { signIns, clock, reopen } = await bench(t);
  const first = await signIns.begin(anna);
  const second = await signIns.refresh(first.refreshToken);
  clock.pass(GRACE_MS);
  const again = await reopen();
  assert.equal(again.findByToken(second.refreshToken)?.id, first.session.id);
  await assert.rejects(again.refresh(first.refreshToken), REFUSED);
  assert.equal(again.isAlive(first.session.id), false);
});

test('the last used token returns the same successor for thirty seconds, also after a restart', async (t) => {
  const { signIns, clock, reopen } = await bench(t);
  const { session: signIn, refreshToken } = await signIns.begin(anna);
  const all = await Promise.all(Array.from({ length: 4 }, () => signIns.refresh(refreshToken)));
  const [first] = all;
  assert.ok(first && first.refreshToken !== refreshToken);
  for (const known of [signIns, await reopen()]) {
    clock.pass(GRACE_MS / 3);
    const again = await known.refresh(refreshToken);
    for (const one of [...all, again]) {
      assert.equal(one.refreshToken, first.refreshToken);
      assert.equal(one.session.expiresAt, first.session.expiresAt, 'the session is not renewed');
    }
    assert.equal(known.isAccepted(refreshToken), true);
  }
  clock.pass(GRACE_MS / 3);
  assert.equal(signIns.isAccepted(refreshToken), false);
  assert.equal(signIns.isAccepted(first.refreshToken), true);
  await assert.rejects(signIns.refresh(refreshToken), REFUSED);
  assert.equal(signIns.isAlive(signIn.id), false);
});

test('the grace period does not depend on the date', async (t) => {
  const { store } = await failingStore(t, 'sign-ins', checkSession);
  const dates = handClock();
  const passes = handClock();
  const signIns = await Sessions.open(
    store,
    { ...dates, now: () => dates.time, monotonic: () => passes.time },
    LIFE * 9999,
  );
  const { refreshToken } = await signIns.begin(anna);
  const next = await signIns.refresh(refreshToken);
  for (const step of [365 * 86_400_000, -730 * 86_400_000]) {
    dates.pass(step);
    assert.equal((await signIns.refresh(refreshToken)).refreshToken, next.refreshToken);
  }
  passes.pass(GRACE_MS);
  await assert.rejects(signIns.refresh(refreshToken), REFUSED);
});

test('a token older than the previous one ends the session at once', async (t) => {
  const { signIns } = await bench(t);
  const first = await signIns.begin(anna);
  const second = await signIns.refresh(first.refreshToken);
  await signIns.refresh(second.refreshToken);
  await assert.rejects(signIns.refresh(first.refreshToken), REFUSED);
  assert.equal(signIns.isAlive(first.session.id), false);
});

test('an invalid token is refused and ends no session', async (t) => {
  const { signIns } = await bench(t);
  const { session: signIn, refreshToken } = await signIns.begin(anna);
  const secret = refreshToken.slice(-43);
  const strange = [
    '',
    'lrt_',
    `lrt_${'0'.repeat(32)}_${secret}`,
    `${refreshToken} `,
    refreshToken.slice(0, -1),
    '__proto__',
  ];
  for (const token of strange) {
    await assert.rejects(signIns.refresh(token), REFUSED);
    assert.equal(signIns.findByToken(token), null);
  }
  assert.equal(signIns.isAlive(signIn.id), true);
  // The session with another secret is an older token or a guess. It ends in both cases.
  await assert.rejects(signIns.refresh(`lrt_${signIn.id}_${'A'.repeat(43)}`), REFUSED);
  assert.equal(signIns.isAlive(signIn.id), false);
});

test('a session that is not renewed expires and is swept', async (t) => {
  const { signIns, store, clock } = await bench(t);
  const old = await signIns.begin(anna);
  clock.pass(LIFE * 1000 - 1);
  assert.equal(signIns.isAlive(old.session.id), true);
  clock.pass(1);
  assert.equal(signIns.isAlive(old.session.id), false);
  await assert.rejects(signIns.refresh(old.refreshToken), REFUSED);
  clock.pass(LINGER_MS - 1);
  const young = await signIns.begin(anna);
  assert.equal(await signIns.sweep(), 0, 'the date may be wrong');
  clock.pass(1);
  assert.equal(await signIns.sweep(), 1);
  assert.equal(await signIns.sweep(), 0);
  assert.deepEqual(
    (await store.list()).map(({ id }) => id),
    [young.session.id],
  );
  assert.ok((await signIns.refresh(young.refreshToken)).session.expiresAt > clock.now());
});

test('the sixteen latest sessions of a subject stay, also after a restart, and each subject has its own limit', async (t) => {
  const { signIns, store, clock, reopen } = await bench(t);
  const device = await signIns.begin({ kind: 'device', id: anna.id });
  const begun: IssuedSession[] = [];
  for (let i = 0; i < 20; i += 1) {
    clock.pass(1);
    begun.push(await signIns.begin(anna));
  }
  const alive = (known: Sessions) => begun.map(({ session: signIn }) => known.isAlive(signIn.id));
  assert.deepEqual(alive(signIns), [...Array(4).fill(false), ...Array(16).fill(true)]);
  const again = await reopen();
  clock.pass(1);
  await again.begin(anna);
  assert.deepEqual(alive(again), [...Array(5).fill(false), ...Array(15).fill(true)]);
  assert.equal(again.isAlive(device.session.id), true);
  assert.equal((await store.list()).length, 17);
});

test('a session with valid access tokens does not end for a new one, and the least recently used ends first', async (t) => {
  const { store, clock } = await bench(t);
  const signIns = await Sessions.open(store, clock, LIFE, 60);
  const begun: IssuedSession[] = [];
  for (let i = 0; i < 20; i += 1) {
    begun.push(await signIns.begin(anna));
    clock.pass(1);
  }
  const alive = (): boolean[] => begun.map(({ session: signIn }) => signIns.isAlive(signIn.id));
  assert.deepEqual(alive(), Array(20).fill(true));
  const [first] = begun;
  assert.ok(first);
  await signIns.refresh(first.refreshToken);
  clock.pass(60_000);
  await signIns.begin(anna);
  assert.deepEqual(alive(), [true, false, false, ...Array(17).fill(true)]);
});

test('concurrent sessions do not exceed the limit', async (t) => {
  const { signIns, store } = await bench(t);
  await Promise.all(Array.from({ length: 40 }, () => signIns.begin(anna)));
  assert.equal((await store.list()).length, 16);
});

test('all sessions of a subject end together', async (t) => {
  const { signIns, store, reopen } = await bench(t);
  const theirs = [await signIns.begin(anna), await signIns.begin(anna)];
  const device = await signIns.begin({ kind: 'device', id: anna.id });
  await signIns.endAllOf(anna);
  await signIns.endAllOf({ kind: 'person', id: 'nobody' });
  for (const known of [signIns, await reopen()]) {
    for (const { session: signIn } of theirs) assert.equal(known.isAlive(signIn.id), false);
    assert.equal(known.isAlive(device.session.id), true);
  }
  assert.equal((await store.list()).length, 1);
});

test('ending a session during a refresh fails the refresh', async (t) => {
  const { signIns, store } = await bench(t);
  const { refreshToken } = await signIns.begin(anna);
  const refreshing = signIns.refresh(refreshToken);
  const ending = signIns.endAllOf(anna);
  await assert.rejects(refreshing, REFUSED);
  await ending;
  assert.deepEqual(await store.list(), []);
});

test('a failed write leaves the session unchanged', async (t) => {
  const { signIns, store, fail } = await bench(t);
  const full = { code: 'insufficient_storage' };
  fail(true);
  await assert.rejects(signIns.begin(anna), full);
  fail(false);
  assert.deepEqual(await store.list(), []);
  const { session: signIn, refreshToken } = await signIns.begin(anna);

  fail(true);
  const both = await Promise.allSettled([signIns.refresh(refreshToken), signIns.refresh(refreshToken)]);
  assert.ok(
    both.every((one) => one.status === 'rejected' && one.reason.code === full.code),
    'for every caller',
  );
  fail(false);
  const next = await signIns.refresh(refreshToken);

  fail(true);
  await assert.rejects(signIns.end(signIn.id), full);
  assert.equal(signIns.isAlive(signIn.id), true);
  await assert.rejects(signIns.endAllOf(anna), full);
  fail(false);
  // The index still has the session.
  await signIns.endAllOf(anna);
  assert.equal(signIns.isAlive(signIn.id), false);
  await assert.rejects(signIns.refresh(next.refreshToken), REFUSED);
  assert.deepEqual(await store.list(), []);
});

/** A use of a token of one session: the newest one, or an older one by its number. */
test('after the grace period only the newest token works in any order of uses, and an older one ends the session', async (t) => {
  const { signIns, clock, reopen } = await bench(t);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 5 }), { maxLength: 8 }), async (picks) => {
      const { session: signIn, refreshToken } = await signIns.begin(anna);
      const tokens = [refreshToken];
      let ended = false;
      for (const pick of picks) {
        const token = tokens[Math.max(0, tokens.length - 1 - pick)] ?? refreshToken;
        const good = !ended && token === tokens.at(-1);
        clock.pass(GRACE_MS);
        if (good) tokens.push((await signIns.refresh(token)).refreshToken);
        else {
          await assert.rejects(signIns.refresh(token), REFUSED);
          ended = true;
        }
        assert.equal(signIns.isAlive(signIn.id), !ended);
      }
      const again = await reopen();
      assert.equal(again.isAlive(signIn.id), !ended);
      assert.equal(again.findByToken(tokens.at(-1) ?? '') !== null, !ended);
      await signIns.end(signIn.id);
    }),
    { numRuns: 25 },
  );
});
