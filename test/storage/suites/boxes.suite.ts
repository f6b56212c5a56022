/** What the boxes of secrets and of the last time must do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredTime } from '../../../src/contracts/clock.ts';
import type { BackendUnderTest } from './backends.ts';

const TIME: StoredTime = {
  date: 1_800_000_000_000,
  ahead: -5000,
  latest: 1_900_000_000_000,
  steady: 1_800_000_005_000,
  boot: 'a boot',
  uptime: 1234.5,
};

export function boxesSuite(backend: BackendUnderTest): void {
  const { name } = backend;

  test(`${name} date box: the time of the last run is returned unchanged`, async (t) => {
    const under = await backend.open(t);
    assert.equal(await under.store.dateBox.read(), null);
    for (const time of [TIME, { ...TIME, date: null, boot: null }]) {
      await under.store.dateBox.write(time);
      assert.deepEqual(await under.store.dateBox.read(), time);
      assert.deepEqual(await (await under.reopen()).dateBox.read(), time);
    }
  });

  test(`${name} secrets: a secret is created once and kept`, async (t) => {
    const under = await backend.open(t);
    const made = await under.store.secret('jwt', () => Buffer.from('secret of thirty-two bytes......'));
    const again = (): Promise<Uint8Array> => under.store.secret('jwt', () => assert.fail('the secret exists'));
    assert.deepEqual(Buffer.from(await again()), Buffer.from(made));
    await under.reopen();
    assert.deepEqual(Buffer.from(await again()), Buffer.from(made));
    const other = await under.store.secret('sealing', () => Buffer.from('another'));
    assert.notDeepEqual(Buffer.from(other), Buffer.from(made));
  });

  test(`${name} secrets: a box returns a copy of the bytes written last`, async (t) => {
    const under = await backend.open(t);
    assert.equal(await under.store.secretBox('signingkeys').read(), null);
    const bytes = Buffer.from('first');
    await under.store.secretBox('signingkeys').write(bytes);
    bytes.fill(0);
    assert.deepEqual(Buffer.from((await under.store.secretBox('signingkeys').read()) ?? []), Buffer.from('first'));
    await under.store.secretBox('signingkeys').write(Buffer.from('second'));
    const stored = await (await under.reopen()).secretBox('signingkeys').read();
    assert.deepEqual(Buffer.from(stored ?? []), Buffer.from('second'));
  });

  test(`${name} secrets: a name that could escape its directory is refused`, async (t) => {
    const { store } = await backend.open(t);
    for (const odd of ['', '..', 'jwt.old', 'a/b', 'x'.repeat(33)]) {
      assert.throws(() => store.secretBox(odd), RangeError);
      await assert.rejects(
        store.secret(odd, () => Buffer.from('x')),
        RangeError,
      );
    }
  });
}
