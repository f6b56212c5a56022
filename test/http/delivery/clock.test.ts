/** Lost deliveries after a crash on a machine whose date is set: the order of a file and its target does not depend on dates. */
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CONFIRM_MS } from '../../../src/clock/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { machine } from '../../support/product/clock.ts';
import { ask } from '../../support/product/people.ts';
import { startServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

for (const days of [-365, -2, 2, 365]) {
  test(`after a crash, a file that is newer than its target is delivered and an older one is not: date set by ${days} days`, async (t) => {
    const receiver = await startReceiver(t);
    const on = machine(Date.now());
    const settings = { LADING_WEBHOOK_PRIVATE: 'on' };
    const setDate = async (by: number): Promise<void> => {
      on.step(by * 24 * 3600 * 1000);
      on.clock.now();
      on.pass(CONFIRM_MS);
      on.clock.now();
    };
    const server = await startServer(t, settings, { clock: on.clock });
    await put(server, 'older.bin', 0, ALPHABET, { total_size: '26' });
    on.pass(1000);
    await setDate(days);
    const headers = { ...server.admin.headers };
    const body = { kind: 'webhook', url: receiver.url, name: 'hook', events: ['file.completed'] };
    const created = await ask(server.origin, '/api/deliveries/targets', { headers, body });
    assert.equal(created.status, 201, await created.clone().text());
    receiver.secret = ((await created.json()) as { secret: string }).secret;
    on.pass(1000);
    await setDate(-days);
    await put(server, 'newer.bin', 0, ALPHABET, { total_size: '26' });
    const filenames = () => receiver.received.map(({ event }) => event.filename);
    await eventually(() => filenames().length === 1, 'the first delivery');
    const kept = on.clock.keep();
    await server.close();
    // Simulates a crash before the delivery was stored.
    const folder = join(server.dataDir, 'v1/deliveries');
    for (const name of await readdir(folder)) await rm(join(folder, name));
    on.restart(kept);
    const again = await startServer(t, settings, { clock: on.clock }, server.dataDir);
    await eventually(() => filenames().length === 2, 'the delivery after the crash');
    const reply = await ask(again.origin, '/api/deliveries', { headers: { ...again.admin.headers } });
    const { deliveries } = (await reply.json()) as { deliveries: { filename: string }[] };
    assert.deepEqual(
      deliveries.map(({ filename }) => filename),
      ['newer.bin'],
    );
    assert.deepEqual(filenames(), ['newer.bin', 'newer.bin']);
  });
}
