import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LadingError } from '../../../src/errors.ts';
import { generateSecret, hashGenerated, Secrets } from '../../../src/identity/credentials/secrets.ts';

test('a generated secret has 256 bits and is unique', () => {
  const made = new Set(Array.from({ length: 100 }, generateSecret));
  assert.equal(made.size, 100);
  for (const secret of made) assert.equal(Buffer.from(secret, 'base64url').length, 32);
});

test('a hash has its parameters and a salt, and matches only its secret', async () => {
  const secrets = new Secrets();
  const [one, two] = await Promise.all([secrets.hash('hush'), secrets.hash('hush')]);
  assert.match(one, /^scrypt\$ln=14,r=8,p=1\$[\w-]{22}\$[\w-]{43}$/);
  assert.notEqual(one, two);
  assert.ok(!one.includes('hush'));
  assert.equal(await secrets.verify('hush', one), true);
  assert.equal(await secrets.verify('hush', two), true);
  assert.equal(await secrets.verify('Hush', one), false);
  assert.equal(await secrets.verify('', one), false);
  assert.equal(await secrets.verify('hush', null), false);
});

test('hashes with other parameters match, and unknown formats throw', async () => {
  const secrets = new Secrets();
  const salt = Buffer.from('salt').toString('base64url');
  // scrypt('hush', 'salt', N=2^4, r=1, p=2, 32 bytes)
  const { scryptSync } = await import('node:crypto');
  const hash = scryptSync('hush', 'salt', 32, { N: 16, r: 1, p: 2 }).toString('base64url');
  assert.equal(await secrets.verify('hush', `scrypt$ln=4,r=1,p=2$${salt}$${hash}`), true);
  await assert.rejects(secrets.verify('hush', 'plain$hush'), /format/);
});

test('composed and decomposed letters are the same secret, and an overlong secret is wrong without hashing', async () => {
  const secrets = new Secrets();
  const hash = await secrets.hash('caf\u00e9');
  assert.equal(await secrets.verify('cafe\u0301', hash), true);
  assert.equal(await secrets.verify('x'.repeat(1_000_000), hash), false);
});

test('a generated secret is verified without waiting in the queue', async () => {
  const secrets = new Secrets();
  const secret = generateSecret();
  const hash = hashGenerated(secret);
  assert.match(hash, /^sha256\$[\w-]{22}\$[\w-]{43}$/);
  assert.notEqual(hashGenerated(secret), hash);
  const slow = Array.from({ length: 40 }, () => secrets.verify('x', null));
  let answered = 0;
  for (const one of slow) void one.then(() => (answered += 1));
  assert.equal(await secrets.verify(secret, hash), true);
  assert.equal(await secrets.verify(generateSecret(), hash), false);
  assert.equal(answered, 0);
  await Promise.all(slow);
});

test('a chosen secret that was verified is accepted without waiting the next time', async () => {
  const secrets = new Secrets();
  const hash = await secrets.hash('configured');
  assert.equal(await secrets.verifyCached('configured', hash), true);
  const slow = Array.from({ length: 40 }, () => secrets.verify('x', null));
  let answered = 0;
  for (const one of slow) void one.then(() => (answered += 1));
  assert.equal(await secrets.verifyCached('configured', hash), true);
  assert.equal(answered, 0);
  assert.equal(await secrets.verifyCached('configured', null), false);
  assert.equal(await secrets.verifyCached('Configured', hash), false);
  await Promise.all(slow);
});

test('waiting hashes of one network are limited, and those that wait are served', async () => {
  const secrets = new Secrets();
  const results = await Promise.allSettled(Array.from({ length: 300 }, () => secrets.verify('x', null)));
  const refused = results.filter((result) => result.status === 'rejected');
  assert.equal(refused.length, 300 - 128 - 2);
  for (const { reason } of refused) {
    assert.ok(reason instanceof LadingError);
    assert.equal(reason.code, 'overloaded');
    assert.ok((reason.members.retry_after ?? 0) > 0);
  }
  assert.equal(await secrets.verify('x', null), false);
});
