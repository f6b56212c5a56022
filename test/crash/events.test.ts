/** The server is killed after or during a change: webhooks get the events of changes that happened, and no others. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TargetCreated } from '../../src/protocol/schemas/delivery.ts';
import type { EventType } from '../../src/protocol/schemas/event.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { type Receiver, startReceiver } from '../support/servers/webhook-receiver.ts';
import { Child, Device } from './child.ts';

const SETTINGS = {
  LADING_DELIVERY_RETRY_SECONDS: '1',
  LADING_WEBHOOK_PRIVATE: 'on',
  LADING_STALE_SECONDS: '1',
  LADING_SHUTDOWN_SECONDS: '1',
};
const EVENTS: EventType[] = [
  'file.created',
  'file.completed',
  'file.deleted',
  'upload.cancelled',
  'upload.stale',
  'admin.changed',
];
const LETTERS = Buffer.from('abcdefghijklmnopqrstuvwxyz');

interface Running {
  child: Child;
  device: Device;
  ask(method: string, path: string, body?: object): Promise<Response>;
}

async function start(t: TestContext, dataDir: string): Promise<Running> {
  const child = new Child(dataDir, SETTINGS);
  t.after(() => child.kill());
  const origin = await child.origin;
  const device = new Device(origin);
  t.after(() => device.close());
  await device.signIn();
  const ask = (method: string, path: string, body?: object): Promise<Response> =>
    fetch(`${origin}${path}`, {
      method,
      headers: { ...device.headers, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
  return { child, device, ask };
}

async function addHook({ ask }: Running, receiver: Receiver): Promise<string> {
  const created = await ask('POST', '/api/deliveries/targets', { kind: 'webhook', url: receiver.url, events: EVENTS });
  assert.equal(created.status, 201);
  return ((await created.json()) as TargetCreated).id;
}

/** Changes and their events. */
const CHANGES: [EventType, (running: Running) => Promise<unknown>][] = [
  [
    'file.created',
    ({ device }) => device.send('one.txt', 0, LETTERS.subarray(0, 9), { declaredSize: 26, overwrite: false }),
  ],
  [
    'upload.stale',
    async ({ ask }) => {
      // The upload is parked once it has received nothing for a second.
      await eventually(async () => {
        await ask('POST', '/api/sweep');
        return (await (await ask('GET', '/api/files/status/one.txt')).text()).includes('"stale":true');
      }, 'a parked upload');
    },
  ],
  ['upload.cancelled', ({ ask }) => ask('DELETE', '/api/files/one.txt')],
  ['file.completed', ({ device }) => device.send('two.txt', 0, LETTERS, { declaredSize: 26, overwrite: false })],
  ['admin.changed', ({ ask }) => ask('POST', '/api/files/share/two.txt', {})],
  ['file.deleted', ({ ask }) => ask('DELETE', '/api/files/two.txt')],
];

test('the event of an acknowledged change is delivered after a crash, and repeats have the same id', async (t) => {
  const dataDir = await temporaryFolder(t);
  const receiver = await startReceiver(t);
  let running = await start(t, dataDir);
  await addHook(running, receiver);
  for (const [type, change] of CHANGES) {
    receiver.answer(500);
    const before = receiver.received.length;
    await change(running);
    await running.child.kill();
    receiver.answer(204);
    running = await start(t, dataDir);
    const events = () => receiver.received.slice(before).filter(({ event }) => event.type === type);
    await eventually(() => events().length > 0, type);
    const ids = new Set(events().map(({ id, event }) => `${id} ${event.id}`));
    assert.equal(ids.size, 1, `${type}: ${[...ids].join(', ')}`);
  }
  await running.child.kill('SIGTERM');
});

test('after a crash between the announcement of a change and its end, only changes that happened are delivered', async (t) => {
  const dataDir = await temporaryFolder(t);
  const receiver = await startReceiver(t);
  const first = await start(t, dataDir);
  const targetId = await addHook(first, receiver);
  const { id: kept } = await first.device.send('kept.txt', 0, LETTERS, { declaredSize: 26, overwrite: false });
  const { id: deleted } = await first.device.send('deleted.txt', 0, LETTERS, { declaredSize: 26, overwrite: false });
  assert.equal((await first.ask('DELETE', '/api/files/deleted.txt')).status, 200);
  await eventually(() => receiver.received.some(({ event }) => event.type === 'file.deleted'), 'the event');
  await first.child.kill('SIGTERM');
  const folder = join(dataDir, 'v1/deliveries');
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')));
  const stored = texts.map((text) => JSON.parse(text)).find(({ event }) => event === 'file.deleted');
  const announce = async (id: string, file: string | null, name: string | null, event: EventType): Promise<void> => {
    const payload = JSON.stringify({ ...JSON.parse(stored.payload), id, type: event, filename: name });
    const about = { id, event, fileId: file, fileName: name, targetId, payload };
    const document = { ...stored, ...about, announced: true, state: 'queued', attempts: 0, endedAt: null, nextAt: 0 };
    await writeFile(join(folder, `${id}.json`), JSON.stringify(document));
  };
  await announce('0aaaaaaaa000000000001', kept, 'kept.txt', 'file.deleted');
  await announce('0aaaaaaaa000000000002', deleted, 'deleted.txt', 'file.deleted');
  await announce('0aaaaaaaa000000000003', deleted, 'deleted.txt', 'file.created');
  await announce('0aaaaaaaa000000000004', kept, 'kept.txt', 'upload.stale');
  // It is unknown whether this change happened, so its event is delivered.
  await announce('0aaaaaaaa000000000005', null, null, 'admin.changed');
  const second = await start(t, dataDir);
  for (const expected of ['0aaaaaaaa000000000002', '0aaaaaaaa000000000005'])
    await eventually(() => receiver.received.some(({ id }) => id === expected), 'the event of a change');
  const refused = await second.ask('POST', '/api/deliveries/targets', { kind: 'webhook', url: 'no url' });
  assert.equal(refused.status, 400);
  await second.child.kill('SIGTERM');
  const delivered = receiver.received.filter(({ id }) => id.startsWith('0aaaaaaaa'));
  assert.deepEqual(
    delivered.map(({ id }) => id),
    ['0aaaaaaaa000000000002', '0aaaaaaaa000000000005'],
  );
  const remaining = await readdir(folder);
  assert.ok(
    remaining.every((name) => !/0aaaaaaaa00000000000[134]/.test(name)),
    remaining.join(),
  );
  for (const name of remaining) assert.doesNotMatch(await readFile(join(folder, name), 'utf8'), /"announced"/);
});

test('after a crash during administrative changes, the event of every change that happened is delivered', async (t) => {
  const dataDir = await temporaryFolder(t);
  const receiver = await startReceiver(t);
  let running = await start(t, dataDir);
  await addHook(running, receiver);
  let counted = 0;
  for (let round = 0; round < 6; round += 1) {
    // The kill comes at some time between the first request and the last answer.
    const requests = Array.from({ length: 12 }, (_, index) => {
      const target = { kind: 'webhook', name: `${round}-${index}`, url: receiver.url, events: ['upload.expired'] };
      // The kill comes before some answers.
      return running.ask('POST', '/api/deliveries/targets', target).catch(() => null);
    });
    await Promise.race(requests.slice(round, round + 3));
    await running.child.kill();
    await Promise.all(requests);
    running = await start(t, dataDir);
    const reply = await running.ask('GET', '/api/deliveries/targets');
    const created = ((await reply.json()) as { targets: TargetCreated[] }).targets.filter(({ name }) =>
      name.startsWith(`${round}-`),
    );
    // The event of a change that was not recorded has no id, because its outcome is unknown.
    const details = (): string[] => {
      const byId = new Map(receiver.received.map(({ id, event }) => [id, event.detail ?? '']));
      return [...byId.values()];
    };
    const uncertain = (): number => details().filter((detail) => detail.includes('may not have been made')).length;
    const missing = (): number => created.filter(({ id }) => !details().some((detail) => detail.includes(id))).length;
    const before = counted;
    await eventually(() => uncertain() - before >= missing(), 'every change');
    counted = uncertain();
  }
  await running.child.kill('SIGTERM');
});
