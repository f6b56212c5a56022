/** Concurrent deletions delete a file once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { OWNER, send, text } from '../../support/product/device.ts';
import { startEngine } from '../../support/product/engine.ts';

const NAME = 'a.bin';

test('one of several concurrent deletions deletes the file, and the others get not_found', async (t) => {
  const { engine, deps } = await startEngine(t);
  for (let round = 0; round < 5; round += 1) {
    await send(engine, NAME, 0, text('abc'), { declaredSize: 3 });
    const conditions = [undefined, () => true, () => false, undefined, () => true];
    const answers = await Promise.allSettled(conditions.map((condition) => engine.remove(OWNER, NAME, condition)));
    const done = answers.filter(({ status }) => status === 'fulfilled');
    assert.equal(done.length, 1);
    for (const answer of answers) {
      if (answer.status === 'fulfilled') assert.deepEqual(answer.value, ['file']);
      else
        assert.ok(
          answer.reason instanceof LadingError && /^(?:not_found|precondition_failed)$/.test(answer.reason.code),
          String(answer.reason),
        );
    }
    assert.deepEqual(await deps.blobs.list(), []);
    assert.equal(engine.usage(OWNER).bytes, 0);
  }
});
