import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcement, firstAdminLines } from '../../src/process/announcement.ts';

const plain = { tls: null, host: '0.0.0.0', publicUrl: null };
const tls = { cert: Buffer.alloc(0), key: Buffer.alloc(0) };

function said(config: Parameters<typeof announcement>[0]['config'], address: string): string {
  return announcement({ config, address }).join('\n');
}

test('the start shows the address of the dashboard', () => {
  assert.match(said(plain, 'http://0.0.0.0:8005'), /^Dashboard: http:\/\/localhost:8005\/$/m);
  assert.match(said(plain, 'http://[::]:8005'), /^Dashboard: http:\/\/localhost:8005\/$/m);
  assert.match(said(plain, 'http://192.0.2.7:80'), /^Dashboard: http:\/\/192\.0\.2\.7:80\/$/m);
  assert.match(said({ ...plain, tls }, 'https://0.0.0.0:443'), /^Dashboard: https:\/\/localhost:443\/$/m);
  const behind = { ...plain, publicUrl: 'https://example.org/drive' };
  assert.match(said(behind, 'http://127.0.0.1:8005'), /^Dashboard: https:\/\/example\.org\/drive\/$/m);
});

test('plain HTTP on all interfaces causes a warning with advice', () => {
  const warning = /Plain HTTP on all interfaces: .*LADING_TLS_CERT.*LADING_HOST=127\.0\.0\.1/;
  assert.match(said(plain, 'http://0.0.0.0:8005'), warning);
  assert.match(said(plain, 'http://[::]:8005'), warning);
  assert.doesNotMatch(said(plain, 'http://127.0.0.1:8005'), /Plain HTTP/);
  assert.doesNotMatch(said(plain, 'http://192.0.2.7:8005'), /Plain HTTP/);
  assert.doesNotMatch(said({ ...plain, tls }, 'https://0.0.0.0:8005'), /Plain HTTP/);
});

test('the secret of the first administrator comes with its id', () => {
  const lines = firstAdminLines({ id: 'a', secret: 's' });
  assert.deepEqual(lines.slice(1), ['  client id      a', '  client secret  s']);
});
