/** A crash after the event `delivery.failed` was stored and before the failed delivery was: the event is delivered once. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, post, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { startServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';

const SETTINGS = { ...WEBHOOK_SETTINGS, LADING_DELIVERY_ATTEMPTS: '1' };

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

test('a failed delivery fails again after the crash, and each target gets its event once', async (t) => {
  const server = await startServer(t, SETTINGS);
  const broken = await startReceiver(t);
  const [first, second] = [await startReceiver(t), await startReceiver(t)];
  await addHook(server, broken.url, { name: 'broken' });
  await addHook(server, first.url, { name: 'first', events: ['delivery.failed'] });
  const { id: secondId } = await addHook(server, second.url, { name: 'second', events: ['delivery.failed'] });
  broken.answer(500);
  await store(server, 'letters.txt', ALPHABET);
  await eventually(() => first.received.length === 1 && second.received.length === 1, 'the event');
  await eventually(
    async () => (await deliveries(server, '?state=delivered')).length === 2,
    'the end of both deliveries',
  );
  await server.close();
  for (const { path, document } of await documents(server.dataDir)) {
    const before = { ...document, state: 'queued', attempts: 0, endedAt: null, nextAt: 0 };
    if (document.event === 'file.completed') await writeFile(path, JSON.stringify(before));
    // Simulates that its event was not stored either.
    if (document.targetId === secondId) await rm(path);
  }
  const again = await startServer(t, SETTINGS, {}, server.dataDir);
  await eventually(() => second.received.length === 2, 'the event that was lost');
  const [original, repeated] = second.received;
  assert.deepEqual([repeated?.id, repeated?.event.id], [original?.id, original?.event.id]);
  const [failed] = await deliveries(again, '?state=failed');
  assert.deepEqual([failed?.event, failed?.attempts], ['file.completed', 1]);
  // Its second failure is a new event.
  assert.equal((await post(again, `/api/deliveries/${failed?.id}/retry`, {})).status, 200);
  await eventually(() => second.received.length === 3 && first.received.length === 2, 'the event of the retry');
  assert.equal(broken.received.length, 2);
  assert.notEqual(second.received[2]?.id, original?.id);
  assert.notEqual(first.received[1]?.event.id, first.received[0]?.event.id);
});

test('after a crash, a target that the server disabled is recorded once and its deliveries are cancelled', async (t) => {
  const server = await startServer(t, { ...SETTINGS, LADING_DELIVERY_ATTEMPTS: '9' });
  const [failing, audience] = [await startReceiver(t), await startReceiver(t)];
  await addHook(server, audience.url, { name: 'audience', events: ['admin.changed'] });
  const { id } = await addHook(server, failing.url, { name: 'failing' });
  failing.answer(500);
  await store(server, 'letters.txt', ALPHABET);
  await eventually(() => failing.received.length > 0, 'an attempt');
  await server.close();
  const path = join(server.dataDir, 'v1/targets', `${id}.json`);
  const target = JSON.parse(await readFile(path, 'utf8')) as object;
  // Simulates a crash after the disabled target was stored and before it was recorded.
  const disabled = { at: Date.now(), reason: 'The server answered 410.', unrecorded: '0mgz00000abcdef012345' };
  await writeFile(path, JSON.stringify({ ...target, disabled }));

  const again = await startServer(t, SETTINGS, {}, server.dataDir);
  const disabledEvents = () => audience.received.filter(({ event }) => event.detail === 'target_disabled failing');
  const recorded = async ({ origin, admin }: typeof server): Promise<number> => {
    const reply = await fetch(`${origin}/api/audit?action=target_disabled`, { headers: admin.headers });
    return ((await reply.json()) as { entries: unknown[] }).entries.length;
  };
  await eventually(() => disabledEvents().length === 1, 'the event');
  await eventually(async () => (await recorded(again)) === 1, 'the entry');
  assert.deepEqual(
    (await deliveries(again, `?target=${id}`)).map(({ state }) => state),
    ['cancelled'],
  );
  await eventually(async () => !(await readFile(path, 'utf8')).includes('unrecorded'), 'the recorded target');
  await again.close();
  const third = await startServer(t, SETTINGS, {}, server.dataDir);
  assert.equal(await recorded(third), 1);
  assert.equal(disabledEvents().length, 1);
});
