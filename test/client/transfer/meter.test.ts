import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Meter } from '../../../src/client/transfer/meter.ts';

test('rate and remaining time are computed from recent bytes, not from those of earlier runs', () => {
  let now = 0;
  const meter = new Meter(1_000_000, () => now);
  meter.begin(400_000);
  for (let i = 1; i <= 50; i += 1) {
    now += 100;
    meter.moved(1_000);
  }
  const { done, moving, before, rate, left, total } = meter.progress();
  assert.deepEqual([done, moving, before, total], [400_000, 50_000, 400_000, 1_000_000]);
  assert.equal(Math.round(rate), 10_000);
  assert.equal(Math.round(left ?? -1), 55);
});

test('confirmed bytes leave the bytes in flight and count once', () => {
  let now = 0;
  const meter = new Meter(100, () => now);
  meter.begin(0);
  now = 1000;
  meter.moved(40);
  meter.moved(-40);
  meter.confirmed(40);
  const { done, moving, rate } = meter.progress();
  assert.deepEqual([done, moving, rate], [40, 0, 40]);
});

test('after a long stall, the rate is 0 and the remaining time is unknown', () => {
  let now = 0;
  const meter = new Meter(100, () => now);
  meter.begin(0);
  now = 1000;
  meter.moved(40);
  now = 60_000;
  const { rate, left } = meter.progress();
  assert.deepEqual([rate, left], [0, null]);
});

test('the rate is never negative, even when a failure takes bytes back', () => {
  let now = 0;
  const meter = new Meter(100, () => now);
  meter.begin(50);
  now = 200;
  meter.moved(40);
  now = 400;
  meter.moved(-40);
  meter.confirmed(20);
  assert.equal(meter.progress().rate, 0);
});
