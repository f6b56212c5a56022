import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, type RetryNotice, sleep } from '../../../src/client/transfer/retry.ts';
import { NetworkError } from '../../../src/client/transport/failures.ts';
import { LadingError } from '../../../src/errors.ts';

const unreachable = new NetworkError('unreachable');

test('delays are random below a bound that doubles up to a maximum, and start over after progress', async () => {
  const notices: RetryNotice[] = [];
  const backoff = new Backoff({ firstDelayMs: 0.5, longestDelayMs: 4 }, undefined, (notice) => notices.push(notice));
  for (let i = 0; i < 40; i += 1) await backoff.wait(unreachable);
  assert.equal(backoff.failures, 40);
  notices.forEach(({ delayMs, attempt }, i) => {
    assert.equal(attempt, i + 1);
    assert.ok(delayMs >= 0 && delayMs <= Math.min(4, 0.5 * 2 ** i), `${delayMs} at attempt ${attempt}`);
  });
  const later = notices.slice(4).map(({ delayMs }) => delayMs);
  assert.ok(Math.max(...later) - Math.min(...later) > 0.5, 'full jitter spreads over the whole interval');
  backoff.progress();
  assert.equal(backoff.failures, 0);
  await backoff.wait(unreachable);
  assert.ok((notices.at(-1)?.delayMs ?? 9) <= 0.5);
});

test('a Retry-After longer than the maximum delay is respected', async () => {
  const notices: RetryNotice[] = [];
  const backoff = new Backoff({ firstDelayMs: 0, longestDelayMs: 1 }, undefined, (notice) => notices.push(notice));
  await backoff.wait(new LadingError('overloaded', 'busy', { retry_after: 0.02 }));
  assert.equal(notices[0]?.delayMs, 20);
});

test('a final error is thrown at once, and any error after retryForMs without progress', async () => {
  const refused = new LadingError('chunk_conflict', 'other bytes');
  await assert.rejects(new Backoff({}, undefined, undefined).wait(refused), refused);
  await assert.rejects(new Backoff({ retryForMs: 0 }, undefined, undefined).wait(unreachable), unreachable);
});

test('retry repeats a call until it succeeds', async () => {
  let calls = 0;
  const backoff = new Backoff({ firstDelayMs: 0 }, undefined, undefined);
  const result = await backoff.retry(async () => {
    calls += 1;
    if (calls < 4) throw unreachable;
    return 'done';
  });
  assert.deepEqual([result, calls], ['done', 4]);
});

test('an aborted signal ends a delay at once with its reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const waiting = new Backoff({ firstDelayMs: 1e9, longestDelayMs: 1e9 }, controller.signal, undefined).wait(
    unreachable,
  );
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(sleep(1e6, controller.signal), reason);
});
