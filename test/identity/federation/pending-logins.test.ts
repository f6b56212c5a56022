import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PendingLogin, PendingLogins } from '../../../src/identity/federation/pending-logins.ts';
import { clockOf } from '../../support/product/clock.ts';

const DEPARTURE: PendingLogin = {
  provider: 'oidc',
  handshake: { state: 's', verifier: 'the verifier', nonce: 'n' },
  redirectUri: 'https://lading.test/v1/auth/oidc/callback',
  tenant: 'default',
  returnTo: '/docs',
  linkTo: null,
};

test('a pending login can be opened for ten minutes', () => {
  let now = 1_700_000_000_000;
  const departures = new PendingLogins(clockOf(() => now));
  const sealed = departures.seal(DEPARTURE);
  assert.match(sealed, /^[\w-]+$/);
  assert.ok(!Buffer.from(sealed, 'base64url').toString('latin1').includes('verifier'));
  assert.notEqual(departures.seal(DEPARTURE), sealed);
  now += 599_999;
  assert.deepEqual(departures.open(sealed), DEPARTURE);
  now += 1;
  assert.equal(departures.open(sealed), null);
});

test('a text that was changed, truncated, invented or sealed by another process is invalid', () => {
  const departures = new PendingLogins(clockOf(() => 0));
  const sealed = Buffer.from(departures.seal(DEPARTURE), 'base64url');
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    assert.equal(departures.open(changed.toString('base64url')), null, `byte ${at}`);
    assert.equal(departures.open(sealed.subarray(0, at).toString('base64url')), null, `cut at ${at}`);
  }
  for (const odd of ['', 'x', 'A'.repeat(100), new PendingLogins(clockOf(() => 0)).seal(DEPARTURE)]) {
    assert.equal(departures.open(odd), null);
  }
});
