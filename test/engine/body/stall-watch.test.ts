import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StallWatch } from '../../../src/engine/body/stall-watch.ts';
import { LadingError } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { clockOf, machine, STEPS } from '../../support/product/clock.ts';

interface Rig {
  watchdog: StallWatch;
  /** Moves the clock, and checks every half second as the timer does. */
  pass(seconds: number, each?: () => void): void;
}

function rig(limits: { idleSeconds: number; minBytesPerSecond: number }): Rig {
  let now = 1_700_000_000_000;
  const watchdog = new StallWatch(
    clockOf(() => now),
    limits,
  );
  return {
    watchdog,
    pass: (seconds, each) => {
      for (let tick = 0; tick < seconds * 2; tick += 1) {
        now += 500;
        if (tick % 2 === 1) each?.();
        watchdog.check();
      }
    },
  };
}

class Request {
  waits = false;
  others = 0;
  looks = 0;
  failures: LadingError[] = [];

  isHeld(): boolean {
    return this.waits;
  }

  isWanted(): boolean {
    return this.others > 0;
  }

  fail(error: LadingError): void {
    this.failures.push(error);
  }

  onCheck(): void {
    this.looks += 1;
  }

  get codes(): string[] {
    return this.failures.map((error) => error.code);
  }
}

test('a request without a byte for the idle time is ended, and not before', () => {
  const { watchdog, pass } = rig({ idleSeconds: 10, minBytesPerSecond: 0 });
  const request = new Request();
  const watch = watchdog.watch(request);
  pass(9.5);
  assert.deepEqual(request.codes, []);
  watch.received(1);
  pass(9.5);
  assert.deepEqual(request.codes, [], 'a byte restarts the time');
  pass(0.5);
  assert.deepEqual(request.codes, ['request_timeout']);
  assert.match(request.failures[0]?.message ?? '', /no byte for 10 s/);
  watch.stop();
});

test('a silent request is ended after ten seconds when another one waits for it', () => {
  const { watchdog, pass } = rig({ idleSeconds: 120, minBytesPerSecond: 0 });
  const [wanted, alone] = [new Request(), new Request()];
  const watches = [watchdog.watch(wanted), watchdog.watch(alone)] as const;
  wanted.others = 1;
  pass(60, () => watches[0].received(1));
  assert.deepEqual(wanted.codes, []);
  pass(9.5);
  assert.deepEqual(wanted.codes, []);
  pass(0.5);
  assert.deepEqual([wanted.codes, alone.codes], [['request_timeout'], []]);
  assert.match(wanted.failures[0]?.message ?? '', /another request waited/);
  for (const watch of watches) watch.stop();
});

test('a request slower than the minimum rate over a minute is ended', () => {
  const { watchdog, pass } = rig({ idleSeconds: 120, minBytesPerSecond: 100 });
  const slow = new Request();
  const fast = new Request();
  const watches = [watchdog.watch(slow), watchdog.watch(fast)] as const;
  pass(59, () => {
    watches[0].received(99);
    watches[1].received(100);
  });
  assert.deepEqual(slow.codes, [], 'a minute is given to everybody');
  pass(1, () => {
    watches[0].received(99);
    watches[1].received(100);
  });
  assert.deepEqual(slow.codes, ['request_timeout']);
  assert.match(slow.failures[0]?.message ?? '', /slower than 100 bytes a second/);
  assert.deepEqual(fast.codes, []);
  for (const watch of watches) watch.stop();
});

test('each minute is averaged by itself, so a burst does not count for a later one', () => {
  const { watchdog, pass } = rig({ idleSeconds: 120, minBytesPerSecond: 100 });
  const request = new Request();
  const watch = watchdog.watch(request);
  watch.received(1_000_000);
  pass(60);
  assert.deepEqual(request.codes, []);
  pass(59.5, () => watch.received(1));
  assert.deepEqual(request.codes, []);
  pass(0.5);
  assert.deepEqual(request.codes, ['request_timeout']);
  watch.stop();
});

test('one byte a second is enough at the default rate', () => {
  const { watchdog, pass } = rig({ idleSeconds: 120, minBytesPerSecond: 1 });
  const request = new Request();
  const watch = watchdog.watch(request);
  pass(24 * 3600, () => watch.received(1));
  assert.deepEqual(request.codes, []);
  watch.stop();
});

test('a request that the server keeps waiting is never ended as idle or slow', () => {
  const { watchdog, pass } = rig({ idleSeconds: 10, minBytesPerSecond: 100 });
  const request = new Request();
  const watch = watchdog.watch(request);
  pass(5);
  request.waits = true;
  pass(3600);
  assert.deepEqual(request.codes, []);
  request.waits = false;
  pass(9.5);
  assert.deepEqual(request.codes, [], 'its times restart when it resumes');
  pass(0.5);
  assert.deepEqual(request.codes, ['request_timeout']);
  watch.stop();
});

test('a minimum rate of 0 allows any', () => {
  const { watchdog, pass } = rig({ idleSeconds: 3600, minBytesPerSecond: 0 });
  const request = new Request();
  const watch = watchdog.watch(request);
  pass(3599);
  assert.deepEqual(request.codes, []);
  watch.stop();
});

test('a request that has ended is not checked', () => {
  const { watchdog, pass } = rig({ idleSeconds: 1, minBytesPerSecond: 1 });
  const request = new Request();
  watchdog.watch(request).stop();
  pass(120);
  assert.deepEqual(request.codes, []);
});

test('every check calls every request, so that it can adapt to a changed limit', () => {
  const { watchdog, pass } = rig({ idleSeconds: 10, minBytesPerSecond: 1 });
  const requests = [new Request(), new Request()];
  const watches = requests.map((request) => watchdog.watch(request));
  pass(1);
  assert.deepEqual(
    requests.map((request) => request.looks),
    [2, 2],
  );
  for (const watch of watches) watch.stop();
});

test('the timer runs while requests are watched', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = 0;
  const watchdog = new StallWatch(
    clockOf(() => now),
    { idleSeconds: 1, minBytesPerSecond: 0 },
  );
  const request = new Request();
  const watch = watchdog.watch(request);
  now = 1_000;
  t.mock.timers.tick(500);
  assert.deepEqual(request.codes, ['request_timeout']);
  watch.stop();
  watchdog.watch(request);
  now = 3_000;
  t.mock.timers.tick(500);
  assert.equal(request.failures.length, 2, 'also after it stopped for want of requests');
});

test('after a standstill the server reads the arrived bytes before it checks for silence', async () => {
  const watchdog = new StallWatch(
    clockOf(() => Date.now()),
    { idleSeconds: 1, minBytesPerSecond: 0 },
  );
  const request = new Request();
  const watch = watchdog.watch(request);
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
      // In a turn of the event loop timers come first, then sockets.
      setImmediate(() => {
        watch.received(1);
        resolve();
      });
    });
  });
  assert.deepEqual(request.codes, []);
  await eventually(() => request.codes.length > 0, 'the end of its time');
  assert.deepEqual(request.codes.slice(0, 1), ['request_timeout'], 'a client that is silent afterwards is ended');
  watch.stop();
});

test('all running requests can be ended at once', () => {
  const { watchdog } = rig({ idleSeconds: 10, minBytesPerSecond: 1 });
  const requests = [new Request(), new Request(), new Request()];
  const watches = requests.map((request) => watchdog.watch(request));
  watches[1]?.stop();
  watchdog.failAll(() => new LadingError('shutting_down', 'stopping'));
  assert.deepEqual(
    requests.map((request) => request.codes),
    [['shutting_down'], [], ['shutting_down']],
  );
  watches[0]?.stop();
  watches[2]?.stop();
});

test('a change of the system date does not affect the checks', () => {
  for (const by of STEPS) {
    const { clock, step, pass } = machine();
    const watchdog = new StallWatch(clock, { idleSeconds: 10, minBytesPerSecond: 1 });
    const [steady, silent] = [new Request(), new Request()];
    const [watch] = [watchdog.watch(steady), watchdog.watch(silent)];
    for (let second = 1; second <= 120; second += 1) {
      if (second % 7 === 0) step(second % 2 === 0 ? by : -by);
      pass(1000);
      watch?.received(100);
      watchdog.check();
      assert.deepEqual([steady.codes.length, silent.codes.length > 0], [0, second >= 10]);
    }
  }
});
