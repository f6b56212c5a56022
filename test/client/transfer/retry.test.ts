import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, type RetryNotice, sleep } from '../../../src/client/transfer/retry.ts';
import { NetworkError } from '../../../src/client/transport/failures.ts';
import { LadingError } from '../../../src/errors.ts';

const gone = new NetworkError('gone');

test('waits are random below a bound that doubles up to the longest, and start over after progress', async () => {
  const notices: RetryNotice[] = [];
  const patience = new Backoff({ firstDelayMs: 0.5, longestDelayMs: 4 }, undefined, (notice) => notices.push(notice));
  for (let i = 0; i < 40; i += 1) await patience.wait(gone);
  assert.equal(patience.failures, 40);
  notices.forEach(({ delayMs, attempt }, i) => {
    assert.equal(attempt, i + 1);
    assert.ok(delayMs >= 0 && delayMs <= Math.min(4, 0.5 * 2 ** i), `${delayMs} at attempt ${attempt}`);
  });
  const late = notices.slice(4).map(({ delayMs }) => delayMs);
  assert.ok(Math.max(...late) - Math.min(...late) > 0.5, 'full jitter spreads over the whole interval');
  patience.progress();
  assert.equal(patience.failures, 0);
  await patience.wait(gone);
  assert.ok((notices.at(-1)?.delayMs ?? 9) <= 0.5);
});

test('the server may ask for more than the longest wait', async () => {
  const notices: RetryNotice[] = [];
  const patience = new Backoff({ firstDelayMs: 0, longestDelayMs: 1 }, undefined, (notice) => notices.push(notice));
  await patience.wait(new LadingError('overloaded', 'busy', { retry_after: 0.02 }));
  assert.equal(notices[0]?.delayMs, 20);
});

test('a final error is thrown at once, any error when there was no progress for too long', async () => {
  const refused = new LadingError('chunk_conflict', 'other bytes');
  await assert.rejects(new Backoff({}, undefined, undefined).wait(refused), refused);
  await assert.rejects(new Backoff({ retryForMs: 0 }, undefined, undefined).wait(gone), gone);
});

test('persist calls until it works', async () => {
  let calls = 0;
  const patience = new Backoff({ firstDelayMs: 0 }, undefined, undefined);
  const answer = await patience.retry(async () => {
    calls += 1;
    if (calls < 4) throw gone;
    return 'here';
  });
  assert.deepEqual([answer, calls], ['here', 4]);
});

test('a wait ends at once when its signal is aborted, with the reason of the signal', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const waiting = new Backoff({ firstDelayMs: 1e9, longestDelayMs: 1e9 }, controller.signal, undefined).wait(gone);
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(sleep(1e6, controller.signal), reason);
});
