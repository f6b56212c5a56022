/** A day of a device of the older file transfer, with and without a proxy. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type HandClock, handClock } from '../support/product/clock.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { startNginx } from '../support/servers/nginx.ts';
import { hasNginx } from '../support/servers/plain-nginx.ts';
import { Device } from './file-transfer-day-setup.ts';
import { ALPHABET, seen } from './file-transfer-setup.ts';
import { type Ask, connectTo, multipart, pause } from './old-client.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const HOUR = 3600;

const DAY = 24 * HOUR;

const MORNING = Buffer.from('morning '.repeat(500));

/** The part of the day that works with any settings. */
async function liveADay(device: Device, server: TestServer, clock: HandClock): Promise<void> {
  await device.signIn();
  await device.signIn((fields) => multipart(fields));

  assert.equal((await device.status('morning.log')).status, 'pending');
  assert.deepEqual(await device.names(), []);
  const refused = await device.chunk('morning.log', 0, MORNING.subarray(0, 1000), 0);
  assert.equal(refused.status, 400);
  assert.match(String(refused.json.detail), /Checksum validation failed/);

  // The pauses grow: within the timeout, beyond it, and beyond the lifetime of an open upload.
  await device.send('morning.log', MORNING.subarray(0, 1000));
  const { id } = await device.status('morning.log');
  for (const [seconds, start] of [
    [10, 1000],
    [2 * HOUR, 2000],
    [3 * DAY, 3000],
  ] as const) {
    await pause(server, clock, seconds);
    assert.deepEqual(seen((await device.status('morning.log')) as never), [
      'morning.log',
      'complete',
      start,
      start,
      start,
    ]);
    const reply = await device.chunk('morning.log', start, MORNING.subarray(start, start + 1000));
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.id, id);
  }
  assert.equal(await device.read('morning.log'), MORNING.toString());

  // An upload with a gap is parked, not deleted.
  await device.chunk('gap.bin', 500, ALPHABET);
  await pause(server, clock, 2 * DAY);
  const parked = await device.status('gap.bin');
  assert.deepEqual(seen(parked as never), ['gap.bin', 'partial', 26, 526, 0]);
  assert.equal(parked.stale, true);
  assert.ok((await device.names()).includes('gap.bin'));
  const part = await device.ask('GET', '/api/files/download/gap.bin', { headers: { range: 'bytes=500-502' } });
  assert.equal(part.text, 'ABC');
  await device.send('gap.bin', Buffer.alloc(500, '.'));
  assert.equal(await device.read('gap.bin'), '.'.repeat(500) + ALPHABET.toString());
}

async function endTheDay(device: Device): Promise<void> {
  assert.equal((await device.ask('DELETE', '/api/files/gap.bin')).status, 200);
  assert.equal((await device.ask('DELETE', '/api/files/gap.bin')).status, 404);
  assert.ok(!(await device.names()).includes('gap.bin'));
}

const PROXIED = { LADING_TRUST_PROXY: 'loopback' };

const REPORTS = [
  'all is well on Monday\n',
  'two lamps are out on Tuesday, all else is well\n',
  'all is well on Friday\n',
];

const ways: [string, (t: TestContext, server: TestServer) => Promise<Ask> | null][] = [
  ['by itself', (t, { origin }) => connectTo(t, origin)],
  [
    'through the proxy of deploy/nginx.conf',
    (t, { port }) =>
      hasNginx ? startNginx(t, port).then(({ origin, certificate }) => connectTo(t, origin, certificate)) : null,
  ],
];

for (const [way, connect] of ways) {
  test(`a day of a device, ${way}, with default settings`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, PROXIED, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    const device = new Device(ask, server.client);
    await liveADay(device, server, clock);

    // A daily report: the first one is stored, a repeat is accepted, a different one is refused.
    const [monday = '', tuesday = ''] = REPORTS;
    await device.send('status.log', Buffer.from(monday));
    await device.send('status.log', Buffer.from(monday));
    await pause(server, clock, DAY);
    const refused = await device.chunk('status.log', 0, Buffer.from(tuesday));
    assert.equal(refused.status, 409);
    assert.equal(typeof refused.json.detail, 'string');
    assert.equal(await device.read('status.log'), monday);
    assert.equal((await device.chunk('empty.bin', 0, Buffer.alloc(0))).status, 400);
    assert.ok(!(await device.names()).includes('empty.bin'));
    await endTheDay(device);
  });

  test(`a day of a device, ${way}, with LADING_COMPAT=file-transfer`, async (t) => {
    const clock = handClock(Date.now());
    const server = await startServer(t, { ...PROXIED, LADING_COMPAT: 'file-transfer' }, { clock });
    const ask = await connect(t, server);
    if (!ask) return t.skip('nginx is not installed');
    const device = new Device(ask, server.client);
    await liveADay(device, server, clock);
    for (const seconds of [0, DAY]) {
      for (const report of REPORTS) {
        await device.send('status.log', Buffer.from(report), 16);
        assert.equal(await device.read('status.log'), report);
        assert.equal((await device.status('status.log')).bytes_received, report.length);
        await pause(server, clock, seconds);
      }
    }
    assert.equal((await device.names()).filter((name) => name === 'status.log').length, 1);

    const empty = await device.chunk('empty.bin', 0, Buffer.alloc(0));
    assert.equal(empty.status, 200, empty.text);
    assert.deepEqual(seen(empty.json as never), ['empty.bin', 'complete', 0, 0, 0]);
    assert.equal(await device.read('empty.bin'), '');
    await device.send('empty.bin', ALPHABET);
    assert.equal(await device.read('empty.bin'), ALPHABET.toString());
    assert.equal((await device.chunk('empty.bin', 0, Buffer.alloc(0))).status, 200);
    assert.equal(await device.read('empty.bin'), '');
    await endTheDay(device);
  });
}
