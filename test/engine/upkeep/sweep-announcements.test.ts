import assert from 'node:assert/strict';
import { test } from 'node:test';
import { download, OWNER, send, text } from '../../support/product/device.ts';
import { Tap } from '../../support/wire/tap.ts';
import { HOUR, timed } from './timed-engine.ts';

test('an upload that receives a chunk while its parking is announced is not parked', async (t) => {
  const tap = new Tap();
  const wrap = tap.wrap;
  let wanted = '';
  let gate = Promise.resolve();
  let asked = (): void => {};
  /** Runs `work` while the first of two sweeps announces this. */
  const during = async (type: string, work: () => Promise<unknown>): Promise<void> => {
    wanted = type;
    let open = (): void => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const sweeps = [run.engine.sweep(), run.engine.sweep()];
    await reached;
    await work();
    open();
    await Promise.all(sweeps);
    wanted = '';
  };
  const announce = (happenings: readonly { type: string }[]) => {
    if (!happenings.some(({ type }) => type === wanted)) return null;
    asked();
    return { ready: gate, end: () => {} };
  };
  Object.assign(tap, { wrap: (deps: Parameters<typeof wrap>[0]) => ({ ...wrap(deps), announce }) });
  const { run, pass } = await timed(t, tap);
  const { engine } = run;
  await send(engine, 'f', 0, text('abc'), { declaredSize: 6 });
  pass(24 * HOUR);
  await during('upload.stale', () => send(engine, 'f', 3, text('d')));
  assert.equal((await engine.status(OWNER, 'f')).stale, undefined);
  pass(24 * HOUR);
  assert.equal((await engine.sweep()).parked, 1);
  pass(31 * 24 * HOUR);
  await during('upload.expired', () => send(engine, 'f', 4, text('e')));
  const { bytes_received: bytes, stale } = await engine.status(OWNER, 'f');
  assert.deepEqual([bytes, stale], [5, undefined]);
  await send(engine, 'f', 5, text('f'));
  assert.equal((await download(engine, 'f')).toString(), 'abcdef');
});
