/** Changes of the system date while uploads are stored or running. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machine, STEPS } from '../support/product/clock.ts';
import { download, OWNER, send, text } from '../support/product/device.ts';
import { startEngine } from '../support/product/engine.ts';

const MINUTE = 60_000;

for (const by of STEPS) {
  test(`the date is set by ${by / MINUTE} minutes: no sweep and no start considers an upload stale`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const on = machine(Date.UTC(2030, 0, 1));
    const rigging = {
      get clock() {
        return on.clock;
      },
    };
    const run = await startEngine(t, { staleSeconds: 86_400, openEndedSeconds: 3600 }, rigging);
    const untouched = async (bytes: number): Promise<void> => {
      await run.engine.sweep();
      const [declared, open] = [await run.engine.status(OWNER, 'f'), await run.engine.status(OWNER, 'open')];
      assert.deepEqual([declared.bytes_received, open.bytes_received], [bytes, 1]);
      assert.equal(run.engine.gauges().open_uploads, 2, 'neither removed nor sealed');
    };
    await send(run.engine, 'f', 0, text('abc'), { declaredSize: 10 });
    await send(run.engine, 'open', 0, text('x'));
    on.step(by);
    await untouched(3);
    await send(run.engine, 'f', 3, text('d'));
    // From now on the new date counts.
    on.pass(11 * MINUTE);
    await untouched(4);
    await send(run.engine, 'open', 0, text('x'));
    on.step(-by);
    await untouched(4);
    on.pass(11 * MINUTE);
    await untouched(4);
    on.step(by);
    on.restart(on.clock.proven);
    await run.restart();
    await untouched(4);
    on.pass(MINUTE);
    await untouched(4);
    await send(run.engine, 'f', 4, text('efghij'));
    assert.equal((await download(run.engine, 'f')).toString(), 'abcdefghij');
  });
}
