/** The scheduled clean-up of stale uploads and expired records. */
import type { Logger } from 'pino';
import type { Calls } from '../calls/calls.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { Engine } from '../engine/engine.ts';
import type { JwtKeys } from '../http/access/signatures.ts';
import { KeyRing } from '../identity/credentials/signing-keys.ts';
import type { Identity } from '../identity/directory/identity.ts';

export interface SweepDeps {
  engine: Engine;
  identity: Identity;
  deliveries: Deliveries;
  calls: Calls;
  keys: JwtKeys;
  log: Logger;
}

/** Runs the clean-up. A failure to remove expired records is only logged; the next sweep tries again. */
export async function sweep({ engine, identity, deliveries, calls, keys, log }: SweepDeps): Promise<void> {
  const swept = await engine.sweep();
  if (Object.values(swept).some((count) => count > 0)) log.info(swept, 'swept');
  try {
    await identity.sweep();
    if (keys instanceof KeyRing) await keys.sweep();
    await deliveries.sweep();
    await calls.sweep();
  } catch (error) {
    log.error(
      { err: error },
      'expired sessions, keys, deliveries or calls could not be removed; the next sweep tries again',
    );
  }
}
