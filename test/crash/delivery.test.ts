/** The server is killed while it delivers a file: the next start delivers the whole file once. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DeliveryPage } from '../../src/protocol/schemas/delivery.ts';
import { eventually } from '../support/eventually.ts';
import { FTP_PASSWORD, FTP_USER, noFtpServer, startFtpServer } from '../support/servers/ftp-server.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { Child, Device } from './child.ts';

const SETTINGS = { LADING_DELIVERY_RETRY_SECONDS: '1' };
const BYTES = 6 * 1024 * 1024;

test('a server that is killed in the middle of two transfers delivers the file with the third', {
  skip: noFtpServer,
}, async (t) => {
  const ftp = await startFtpServer(t, { kilobytesPerSecond: 2048 });
  const dataDir = await temporaryFolder(t);
  const start = async (): Promise<{
    child: Child;
    device: Device;
    headers: Record<string, string>;
    origin: string;
  }> => {
    const child = new Child(dataDir, SETTINGS);
    t.after(() => child.kill());
    const origin = await child.origin;
    const device = new Device(origin);
    t.after(() => device.close());
    await device.signIn();
    return { child, device, origin, headers: device.headers };
  };
  const first = await start();
  const target = { kind: 'ftp', host: '127.0.0.1', port: ftp.port, username: FTP_USER, password: FTP_PASSWORD };
  const created = await fetch(`${first.origin}/api/deliveries/targets`, {
    method: 'POST',
    headers: { ...first.headers, 'content-type': 'application/json' },
    body: JSON.stringify(target),
  });
  assert.equal(created.status, 201, await created.text());
  const bytes = Buffer.alloc(BYTES, 'what is sent on ');
  const { id } = await first.device.send('large.bin', 0, bytes, { declaredSize: BYTES, overwrite: false });
  /** The temporary name of a transfer that is partly done, except `others`. */
  const partial = async (...others: string[]): Promise<string | undefined> => {
    for (const name of await readdir(ftp.home)) {
      if (!name.startsWith(`.${id}-`) || others.includes(name)) continue;
      const size = await stat(join(ftp.home, name)).then(
        (found) => found.size,
        () => 0,
      );
      if (size > BYTES / 4 && size < BYTES) return name;
    }
    return undefined;
  };
  await eventually(async () => (await partial()) !== undefined, 'the middle of the first transfer');
  const leftover = (await partial()) ?? '';
  await first.child.kill();
  const second = await start();
  await eventually(async () => (await partial(leftover)) !== undefined, 'the middle of the second transfer');
  await second.child.kill();
  const third = await start();
  await eventually(async () => {
    const reply = await fetch(`${third.origin}/api/deliveries?state=delivered`, { headers: third.headers });
    return ((await reply.json()) as DeliveryPage).deliveries.length === 1;
  }, 'the delivery');
  const [name, ...more] = await readdir(ftp.home);
  assert.deepEqual(more, []);
  assert.ok(bytes.equals(await readFile(join(ftp.home, name as string))));
  assert.match(name as string, /^\d{8}_\d{6}_crash-admin_large\.bin$/);
  await third.child.kill('SIGTERM');
});
