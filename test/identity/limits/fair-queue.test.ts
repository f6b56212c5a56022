import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { FairQueue, type Requester, unknownRequester } from '../../../src/identity/limits/fair-queue.ts';

/** Jobs that the test ends one at a time, and the order in which they began. */
function desk(limits = { concurrency: 1, waiting: 256, waitingPerNetwork: 128 }) {
  const turns = new FairQueue(limits);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const refused: string[] = [];
  const all: Promise<void>[] = [];
  const ask = (name: string, requester: Requester): void => {
    const job = async (): Promise<void> => {
      begun.push(name);
      await new Promise<void>((end) => ends.push(end));
    };
    const done = turns.run(job, requester).catch((error: unknown) => {
      assert.ok(error instanceof LadingError && error.code === 'overloaded');
      refused.push(name);
    });
    all.push(done);
  };
  const drain = async (): Promise<string[]> => {
    for (let over = false; !over; ) {
      ends.shift()?.();
      over = await Promise.race([
        Promise.all(all).then(() => true),
        new Promise<false>((go) => setImmediate(go, false)),
      ]);
    }
    return begun;
  };
  return { ask, drain, refused };
}

const known = (from: string): Requester => ({ from, known: true });

test('networks take turns, however many jobs each of them has', async () => {
  const { ask, drain } = desk();
  for (let n = 0; n < 4; n += 1) ask(`a${n}`, unknownRequester('192.0.2.1'));
  ask('b0', unknownRequester('198.51.100.1'));
  ask('c0', unknownRequester('2001:db8::1'));
  ask('b1', unknownRequester('198.51.100.1'));
  assert.deepEqual(await drain(), ['a0', 'a1', 'b0', 'c0', 'a2', 'b1', 'a3']);
});

test('the addresses of one wide network share its turns', async () => {
  for (const many of [(n: number) => `2001:db8:0:a${n}::1`, (n: number) => `192.0.2.${n}`]) {
    const { ask, drain } = desk();
    for (let n = 0; n < 6; n += 1) ask(`a${n}`, unknownRequester(many(n)));
    ask('b0', unknownRequester('198.51.100.1'));
    ask('again', unknownRequester(many(1)));
    ask('late', unknownRequester(many(7)));
    assert.deepEqual(await drain(), ['a0', 'a1', 'b0', 'a2', 'a3', 'a4', 'a5', 'late', 'again']);
  }
});

test('a network that keeps adding jobs gets no more turns than one that waits', async () => {
  const { ask, drain } = desk();
  ask('running', unknownRequester('203.0.113.1'));
  for (let n = 0; n < 3; n += 1) ask(`waits ${n}`, unknownRequester('192.0.2.1'));
  ask('comes', unknownRequester('198.51.100.1'));
  assert.deepEqual(await drain(), ['running', 'waits 0', 'comes', 'waits 1', 'waits 2']);
});

test('known networks go first, and the others are still served', async () => {
  const { ask, drain } = desk();
  ask('running', unknownRequester('203.0.113.1'));
  for (let n = 0; n < 3; n += 1) ask(`stranger ${n}`, unknownRequester('192.0.2.1'));
  for (let n = 0; n < 6; n += 1) ask(`known ${n}`, known('198.51.100.1'));
  const order = await drain();
  assert.equal(order[1], 'known 0');
  assert.ok(order.indexOf('stranger 0') < order.indexOf('known 3'), order.join(', '));
  assert.ok(order.indexOf('known 5') < order.indexOf('stranger 2'), order.join(', '));
});

test('when the queue is full, the busiest network loses a job', async () => {
  const { ask, drain, refused } = desk({ concurrency: 1, waiting: 10, waitingPerNetwork: 8 });
  ask('running', unknownRequester('203.0.113.1'));
  for (let n = 0; n < 9; n += 1) ask(`a${n}`, unknownRequester('192.0.2.1'));
  for (let n = 0; n < 5; n += 1) ask(`b${n}`, unknownRequester('198.51.100.1'));
  ask('known', known('198.51.100.7'));
  const order = await drain();
  assert.deepEqual(refused, ['a8', 'a7', 'a6', 'a5']);
  assert.ok(order.includes('b4') && order.includes('known'));
});

test('a failed job passes its slot on', async () => {
  const turns = new FairQueue({ concurrency: 1, waiting: 4, waitingPerNetwork: 4 });
  const failing = turns.run(() => Promise.reject(new Error('broken')), unknownRequester('192.0.2.1'));
  const next = turns.run(async () => 'done', unknownRequester('192.0.2.1'));
  await assert.rejects(failing, /broken/);
  assert.equal(await next, 'done');
});
