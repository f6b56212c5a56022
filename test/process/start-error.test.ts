import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { startError } from '../../src/process/start-error.ts';
import { DirectoryInUse } from '../../src/storage/disk/directory/lock.ts';
import { repoRoot } from '../support/root.ts';
import { authority, noOpenssl } from '../support/servers/certificates.ts';

const config = { host: '127.0.0.1', port: 8005, dataDir: '/srv/lading' };

async function portInUse(t: TestContext): Promise<number> {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  return (taken.address() as AddressInfo).port;
}

test('a start on a port in use names the setting to change', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lading-start-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const port = await portInUse(t);
  const { stderr, status } = spawnSync(
    process.execPath,
    [join(repoRoot(), 'dist/src/main.js'), '--host', '127.0.0.1', '--port', String(port), '--data-dir', folder],
    { encoding: 'utf8', cwd: folder },
  );
  const said = `lading: another program listens on port ${port} of 127.0.0.1 already; stop it, or choose another LADING_PORT (EADDRINUSE)`;
  assert.ok(stderr.split('\n').includes(said), stderr);
  assert.equal(status, 1);
});

test('a start on an address that the machine does not have is refused', async () => {
  const server = createServer().listen(0, '198.51.100.7');
  const [error] = await once(server, 'error');
  assert.match(
    startError(error, { ...config, host: '198.51.100.7' }),
    /does not have the address 198\.51\.100\.7;.* LADING_HOST/,
  );
});

test('a certificate and a key that do not match are refused', { skip: noOpenssl }, (t) => {
  const said = (cert: string, key: string): string => {
    try {
      createSecureContext({ cert, key });
    } catch (error) {
      return startError(error, config);
    }
    return 'nothing';
  };
  const { sign } = authority(t);
  const [{ cert, key }, other] = [sign(), sign()];
  assert.match(said(cert, other.key), /^LADING_TLS_KEY is not the key .* LADING_TLS_CERT$/);
  assert.match(said(key, cert), /^LADING_TLS_CERT must be a certificate chain .*PEM/);
  assert.match(said('hello', key), /^LADING_TLS_CERT must be a certificate chain .*PEM/);
});

test('every other failed start says what to do', () => {
  const failed = (code: string, syscall: string): Error =>
    Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
  assert.match(
    startError(failed('EACCES', 'listen'), { ...config, port: 80 }),
    /port 80; .*LADING_PORT of 1024 or more/,
  );
  assert.match(
    startError(failed('ENOTFOUND', 'getaddrinfo'), { ...config, host: 'nowhere' }),
    /^LADING_HOST .*"nowhere"$/,
  );
  assert.match(startError(failed('ENOSPC', 'write'), config), /"\/srv\/lading" is full \(ENOSPC\); make room/);
  assert.match(startError(new DirectoryInUse(12), config), /in use by process 12; stop that server, .*"\/srv\/lading"/);
  assert.equal(startError(failed('EIO', 'read'), config), 'read EIO');
  assert.equal(startError('odd', config), 'odd');
});
