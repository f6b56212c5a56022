/** The server was killed after it stored that a delivery was given up, and before the delivery itself says so: it is told once. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, post, store } from '../../support/product/delivering.ts';
import { startServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';

const SETTINGS = { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_RETRY_SECONDS: '1', LADING_DELIVERY_ATTEMPTS: '1' };

interface Stored {
  path: string;
  document: Record<string, unknown> & { event: string; state: string; id: string };
}

async function documents(dataDir: string): Promise<Stored[]> {
  const folder = join(dataDir, 'v1/deliveries');
  const paths = (await readdir(folder)).map((name) => join(folder, name));
  return Promise.all(
    paths.map(async (path) => ({ path, document: JSON.parse(await readFile(path, 'utf8')) as Stored['document'] })),
  );
}

test('a delivery that was given up is given up after the crash, and told once to each who listens', async (t) => {
  const server = await startServer(t, SETTINGS);
  const broken = await startReceiver(t);
  const [early, late] = [await startReceiver(t), await startReceiver(t)];
  await addHook(server, broken.url, { name: 'broken' });
  await addHook(server, early.url, { name: 'early', events: ['delivery.failed'] });
  const { id: lateId } = await addHook(server, late.url, { name: 'late', events: ['delivery.failed'] });
  broken.answer(500);
  await store(server, 'letters.txt', ALPHABET);
  await eventually(() => early.received.length === 1 && late.received.length === 1, 'the event');
  await eventually(async () => (await deliveries(server, '?state=delivered')).length === 2, 'its end');
  await server.close();
  for (const { path, document } of await documents(server.dataDir)) {
    const before = { ...document, state: 'queued', attempts: 0, endedAt: null, nextAt: 0 };
    if (document.event === 'file.completed') await writeFile(path, JSON.stringify(before));
    // As if its event had not been stored either.
    if (document.targetId === lateId) await rm(path);
  }
  const again = await startServer(t, SETTINGS, {}, server.dataDir);
  await eventually(() => late.received.length === 2, 'the event that was lost');
  const [first, second] = late.received;
  assert.deepEqual([second?.id, second?.event.id], [first?.id, first?.event.id]);
  const [failed] = await deliveries(again, '?state=failed');
  assert.deepEqual([failed?.event, failed?.attempts], ['file.completed', 1]);
  // Its second failure is another one.
  assert.equal((await post(again, `/api/deliveries/${failed?.id}/retry`, {})).status, 200);
  await eventually(() => late.received.length === 3 && early.received.length === 2, 'the event of the retry');
  assert.equal(broken.received.length, 2);
  assert.notEqual(late.received[2]?.id, first?.id);
  assert.notEqual(early.received[1]?.event.id, early.received[0]?.event.id);
});

test('a target that the server disabled is recorded after the crash, once, and what waits for it is cancelled', async (t) => {
  const server = await startServer(t, { ...SETTINGS, LADING_DELIVERY_ATTEMPTS: '9' });
  const [gone, audience] = [await startReceiver(t), await startReceiver(t)];
  await addHook(server, audience.url, { name: 'audience', events: ['admin.changed'] });
  const { id } = await addHook(server, gone.url, { name: 'gone' });
  gone.answer(500);
  await store(server, 'letters.txt', ALPHABET);
  await eventually(() => gone.received.length > 0, 'a try');
  await server.close();
  const path = join(server.dataDir, 'v1/targets', `${id}.json`);
  const target = JSON.parse(await readFile(path, 'utf8')) as object;
  // The last that was stored before the crash.
  const disabled = { at: Date.now(), reason: 'The server answered 410.', unrecorded: '0mgz00000abcdef012345' };
  await writeFile(path, JSON.stringify({ ...target, disabled }));

  const again = await startServer(t, SETTINGS, {}, server.dataDir);
  const told = () => audience.received.filter(({ event }) => event.detail === 'target_disabled gone');
  const recorded = async ({ origin, admin }: typeof server): Promise<number> => {
    const reply = await fetch(`${origin}/api/audit?action=target_disabled`, { headers: admin.headers });
    return ((await reply.json()) as { entries: unknown[] }).entries.length;
  };
  await eventually(() => told().length === 1, 'the event');
  await eventually(async () => (await recorded(again)) === 1, 'the entry');
  assert.deepEqual(
    (await deliveries(again, `?target=${id}`)).map(({ state }) => state),
    ['cancelled'],
  );
  await eventually(async () => !(await readFile(path, 'utf8')).includes('unrecorded'), 'the end of it');
  await again.close();
  const third = await startServer(t, SETTINGS, {}, server.dataDir);
  assert.equal(await recorded(third), 1);
  assert.equal(told().length, 1);
});
