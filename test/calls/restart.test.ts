/** Calls that were interrupted by a crash. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Calls } from '../../src/calls/calls.ts';
import type { Collection } from '../../src/contracts/collection.ts';
import { SealedBox } from '../../src/identity/state/sealed-box.ts';
import type { CallDocument } from '../../src/records/calls.ts';
import { clockOf } from '../support/product/clock.ts';

const NO_LIMITS = { phoneHour: 0, callerHour: 0, day: 0 };

test('a call that a crash interrupted is failed after the restart and can be repeated', async () => {
  const stored = new Map<string, CallDocument>();
  const documents: Collection<CallDocument> = {
    list: async () => [...stored.values()],
    put: async (call) => void stored.set(call.id, call),
    find: async (id) => stored.get(id) ?? null,
    remove: async (id) => stored.delete(id),
  };
  const vault = new SealedBox(new Uint8Array(32));
  const clock = clockOf(() => 1_000_000);
  const spoken: string[] = [];
  let begun = (): void => {};
  const calling = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const open = (speak: (code: string) => Promise<void>) =>
    Calls.open(
      {
        documents,
        vault,
        clock,
        warn: () => {},
        voice: { speak: ({ code }) => speak(code), close: async () => {} },
      },
      NO_LIMITS,
    );
  // The first server never finishes its call.
  const first = await open(() => {
    begun();
    return new Promise(() => {});
  });
  const { id } = await first.request('caller', '+14155550123', null);
  await calling;
  assert.equal(stored.get(id)?.speech, 'calling');
  const second = await open(async (code) => void spoken.push(code));
  assert.equal(second.status('caller', '+14155550123').speech, 'failed');
  await second.replay('caller', '+14155550123');
  await second.close();
  assert.equal(spoken.length, 1);
  assert.match(spoken[0] ?? '', /^\d{6}$/);
});
