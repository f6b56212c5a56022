/** Opens the keys of the server: those that sign access tokens, and the one that encrypts stored secrets. */
import { hkdfSync, randomBytes } from 'node:crypto';
import type { Clock } from '../contracts/clock.ts';
import type { Store } from '../contracts/store.ts';
import type { JwtKeys } from '../http/access/signatures.ts';
import { KeyRing } from '../identity/credentials/signing-keys.ts';
import { makeSigningKey } from '../identity/directory/bootstrap.ts';
import { SEALING_KEY_BYTES } from '../identity/state/sealed-box.ts';
import type { Config } from '../settings/config.ts';

/** Opens the keys that sign access tokens, and creates them at the first start. */
export async function jwtKeys(config: Config, store: Store, clock: Clock): Promise<JwtKeys> {
  const { jwtAlgorithm: algorithm, jwtRotateDays: rotateDays, jwtSecret } = config;
  if (algorithm !== 'HS256') {
    const box = store.secretBox('signingkeys');
    return KeyRing.open({ box, clock, algorithm, rotateDays, tokenSeconds: maxTokenSeconds(config) });
  }
  const secret = jwtSecret ?? Buffer.from(await store.secret('jwt', makeSigningKey)).toString('utf8');
  return { algorithm, secret };
}

/** Lifetime in seconds of the access tokens with the longest lifetime. */
function maxTokenSeconds({ tokenMinutes, accountDays }: Config): number {
  return Math.max(tokenMinutes * 60, accountDays * 24 * 3600);
}

/** Returns the key that encrypts secrets: derived from the setting, or generated once and stored with the other secrets. */
export async function sealingKey(
  { sealingKey: setting }: Pick<Config, 'sealingKey'>,
  store: Store,
): Promise<Uint8Array> {
  if (setting === null) return store.secret('sealing', () => randomBytes(SEALING_KEY_BYTES));
  return new Uint8Array(hkdfSync('sha256', setting, '', 'lading sealing key', SEALING_KEY_BYTES));
}
