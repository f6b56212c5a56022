import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { CONFIRM_MS } from '../../../src/clock/clock.ts';
import type { SecretBox } from '../../../src/contracts/collection.ts';
import { KeyRing, type RotatingAlgorithm, type SigningKey } from '../../../src/identity/credentials/signing-keys.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import { openTestStore, temporaryFolder } from '../../support/disk/storage.ts';
import { handClock, machine } from '../../support/product/clock.ts';

const DAY = 86_400_000;
const TOKEN_SECONDS = 1800;

/** A box on the real disk, and an adjustable clock. */
async function bench(t: TestContext) {
  const dataDir = await temporaryFolder(t);
  const store = await openTestStore(t, { dataDir });
  const file = new Layout(dataDir).secret('signingkeys');
  const box = store.secretBox('signingkeys');
  const clock = handClock(1_900_000_000_000);
  const open = (algorithm: RotatingAlgorithm = 'EdDSA', changes: { tokenSeconds?: number; box?: SecretBox } = {}) =>
    KeyRing.open({ box, clock, algorithm, rotateDays: 90, tokenSeconds: TOKEN_SECONDS, ...changes });
  return { file, box, clock, open };
}

function belongTogether({ algorithm, privateKey, publicKey, jwk }: SigningKey): boolean {
  const hash = algorithm === 'EdDSA' ? null : 'sha256';
  const signature = sign(hash, Buffer.from('x'), createPrivateKey(privateKey));
  const published = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  assert.ok(verify(hash, Buffer.from('x'), createPublicKey(publicKey), signature));
  return verify(hash, Buffer.from('x'), published, signature);
}

for (const algorithm of ['EdDSA', 'RS256'] as const) {
  test(`${algorithm}: a key is created once and stored, and only its public part is published`, async (t) => {
    const { open, box } = await bench(t);
    const ring = await open(algorithm);
    assert.ok(belongTogether(ring.current));
    assert.equal(ring.find(ring.current.kid), ring.current);
    assert.equal(ring.find('other'), null);
    const [published] = ring.jwks();
    const members = algorithm === 'EdDSA' ? ['crv', 'x'] : ['e', 'n'];
    assert.deepEqual(Object.keys(published ?? {}).sort(), ['alg', 'kid', 'kty', 'use', ...members].sort());
    assert.equal(published?.alg, algorithm);
    const again = await open(algorithm);
    assert.deepEqual(again.current, ring.current);
    assert.ok(Buffer.from((await box.read()) ?? '').includes('PRIVATE KEY'));
  });
}

test('the id of a key is its thumbprint, as in the example of RFC 8037', async (t) => {
  const { open, box, clock } = await bench(t);
  const privateKey = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'OKP',
      crv: 'Ed25519',
      d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    },
  });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const key = { algorithm: 'EdDSA', createdAt: clock.now(), lifeMs: 3_600_000, until: null, privateKey: pem };
  await box.write(Buffer.from(JSON.stringify({ keys: [key] })));
  assert.equal((await open()).current.kid, 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
});

test('only the owner can read the file of keys', async (t) => {
  const { open, file } = await bench(t);
  await open();
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(await readFile(file, 'utf8'), /BEGIN PRIVATE KEY/);
});

test('a key signs for its days and then verifies until its last token has expired', async (t) => {
  const { open, clock } = await bench(t);
  const ring = await open();
  const first = ring.current;
  clock.time += 90 * DAY - 1;
  await ring.sweep();
  assert.equal(ring.current, first);
  clock.time += 1;
  await ring.sweep();
  const second = ring.current;
  assert.notEqual(second.kid, first.kid);
  assert.equal(ring.find(first.kid)?.publicKey, first.publicKey);
  assert.deepEqual(
    ring.jwks().map(({ kid }) => kid),
    [first.kid, second.kid],
  );
  // A token that is issued in the last moment expires after this time.
  clock.time += TOKEN_SECONDS * 1000;
  await ring.sweep();
  assert.ok(ring.find(first.kid));
  clock.time += 60_000;
  assert.equal(ring.find(first.kid), null, 'before the next sweep');
  assert.deepEqual(
    ring.jwks().map(({ kid }) => kid),
    [second.kid],
  );
  await ring.sweep();
  assert.deepEqual(
    (await open()).jwks().map(({ kid }) => kid),
    [second.kid],
  );
});

test('a start rotates a key that became too old while the server was stopped', async (t) => {
  const { open, clock } = await bench(t);
  const before = (await open()).current;
  clock.time += 91 * DAY;
  const ring = await open();
  assert.notEqual(ring.current.kid, before.kid);
  assert.ok(ring.find(before.kid), 'tokens from before the start are valid');
});

test('concurrent sweeps create one key', async (t) => {
  const { open, clock } = await bench(t);
  const ring = await open();
  clock.time += 91 * DAY;
  await Promise.all([ring.sweep(), ring.sweep(), ring.sweep()]);
  assert.equal(ring.jwks().length, 2);
});

test('a key verifies until its longest token has expired, also after the lifetime was shortened', async (t) => {
  const { open, clock } = await bench(t);
  const { kid } = (await open('EdDSA', { tokenSeconds: 10 * 86_400 })).current;
  const ring = await open('EdDSA', { tokenSeconds: 60 });
  clock.time += 91 * DAY;
  await ring.sweep();
  clock.time += 10 * DAY;
  assert.ok(ring.find(kid));
  clock.time += 60_000;
  assert.equal(ring.find(kid), null);
});

test('a change of algorithm drops all earlier keys', async (t) => {
  const { open } = await bench(t);
  const { kid } = (await open('EdDSA')).current;
  const ring = await open('RS256');
  assert.equal(ring.find(kid), null);
  assert.deepEqual(
    ring.jwks().map(({ alg }) => alg),
    ['RS256'],
  );
});

test('unreadable keys stop the start, and the error contains no part of a key', async (t) => {
  const { open, file } = await bench(t);
  await open();
  const whole = await readFile(file, 'utf8');
  const secret = /BEGIN PRIVATE KEY-----\\n(\S{40})/.exec(whole)?.[1] ?? assert.fail('no private key');
  for (const damaged of [
    whole.slice(0, -9),
    whole.replace('BEGIN', 'BEGAN'),
    '[]',
    '{"keys":[{}]}',
    '{"keys":[null]}',
  ]) {
    await writeFile(file, damaged);
    await assert.rejects(open(), (error: Error) => {
      assert.match(error.message, /secrets\/signingkeys/);
      const told = inspect(error, { depth: null });
      assert.doesNotMatch(told, /PRIVATE/);
      for (let at = 0; at + 8 <= secret.length; at += 1) assert.ok(!told.includes(secret.slice(at, at + 8)));
      return true;
    });
  }
});

test('while a new key cannot be stored, the old one signs and the next sweep tries again', async (t) => {
  const { open, box, clock } = await bench(t);
  let full = false;
  const filling: SecretBox = {
    read: () => box.read(),
    write: (bytes) => (full ? Promise.reject(new Error('no room')) : box.write(bytes)),
  };
  const ring = await open('EdDSA', { box: filling });
  const { kid } = ring.current;
  clock.time += 91 * DAY;
  full = true;
  await assert.rejects(ring.sweep(), /no room/);
  assert.equal(ring.current.kid, kid);
  assert.equal((await open('EdDSA', { box: filling })).current.kid, kid, 'the start does not fail');
  full = false;
  await ring.sweep();
  assert.notEqual(ring.current.kid, kid);
  full = true;
  await assert.rejects(open('RS256', { box: filling }), /no room/, 'without any key the start fails');
});

test('after the date was set back, a new key signs and the old one is withdrawn after its last token', async (t) => {
  const { box } = await bench(t);
  const on = machine();
  const settings = { box, algorithm: 'EdDSA', rotateDays: 90, tokenSeconds: TOKEN_SECONDS } as const;
  const ring = await KeyRing.open({ ...settings, clock: on.clock });
  const first = ring.current.kid;
  const set = (ms: number): void => {
    on.step(ms);
    on.clock.now();
    on.pass(CONFIRM_MS);
  };
  set(365 * DAY);
  await ring.sweep();
  assert.equal(ring.current.kid, first, 'other servers do not accept its tokens for longer');
  const ahead = (await KeyRing.open({ ...settings, clock: on.clock })).current.kid;
  assert.equal(ahead, first);
  on.pass(91 * DAY);
  await ring.sweep();
  const second = ring.current.kid;
  assert.notEqual(second, first);
  set(-365 * DAY);
  await ring.sweep();
  const third = ring.current.kid;
  assert.notEqual(third, second);
  assert.ok(ring.find(second), 'its tokens stay valid until they expire');
  await ring.sweep();
  assert.equal(ring.current.kid, third, 'once');
  on.pass(TOKEN_SECONDS * 1000 + 2 * 60_000);
  assert.equal(ring.find(second), null);
  assert.deepEqual(
    ring.jwks().map(({ kid }) => kid),
    [third],
  );
});
