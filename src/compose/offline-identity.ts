/** Opens the identity data without a server, for commands that work on a data directory. */
import { SteadyClock } from '../clock/clock.ts';
import { Targets } from '../delivery/targets.ts';
import { Audit } from '../identity/audit.ts';
import { Identity } from '../identity/directory/identity.ts';
import { SealedBox } from '../identity/state/sealed-box.ts';
import { checkTarget } from '../records/checks/delivery.ts';
import type { Config } from '../settings/config.ts';
import { backendOf } from '../storage/backends.ts';
import { openCollection, openIdentityStores } from './documents.ts';
import { sealingKey as keyOf } from './secrets.ts';

/** The identity data of a data directory, opened without a server. */
export interface OfflineIdentity {
  identity: Identity;
  audit: Audit;
  /** Opens the delivery targets. */
  targets(): Promise<Targets>;
  close(): Promise<void>;
}

/**
 * Opens the identity data of a data directory that no server uses. Locks the directory until `close`. Skips damaged documents, as the server
 * does.
 * @returns null if the directory has no data of a server; with `make`, the data is created instead
 * @throws DirectoryInUse while a server uses the directory; Error for root when the data belongs to another user
 */
export async function openIdentity(
  {
    dataDir,
    refreshDays,
    sealingKey = null,
  }: Pick<Config, 'dataDir' | 'refreshDays'> & Partial<Pick<Config, 'sealingKey'>>,
  { make = false }: { make?: boolean } = {},
): Promise<OfflineIdentity | null> {
  const backend = await backendOf(dataDir);
  if (!make && !(await backend.hasData(dataDir))) return null;
  await refuseForeignData(dataDir);
  const store = await backend.open({ dataDir, workers: 1 });
  // This command does no recovery, so a directory that was not stopped cleanly stays marked as such.
  const closeStore = (): Promise<void> => store.close({ clean: store.wasClean });
  try {
    const reports = { onDamaged: () => {}, onCorrected: () => {} };
    const stores = await openIdentityStores(store, reports);
    const clock = new SteadyClock({ kept: await store.dateBox.read() });
    const identity = await Identity.open(stores, clock, { refreshSeconds: refreshDays * 24 * 3600 });
    const failed = (_entry: object, error: unknown): void => {
      throw error;
    };
    const audit = new Audit({ log: store.auditLog, clock, onFailed: failed });
    const close = async (): Promise<void> => {
      await identity.close();
      await audit.close();
      await closeStore();
    };
    const targets = async (): Promise<Targets> => {
      const documents = await openCollection(store, 'targets', checkTarget, reports);
      return Targets.open(documents, new SealedBox(await keyOf({ sealingKey }, store)), clock);
    };
    return { identity, audit, targets, close };
  } catch (error) {
    await closeStore();
    throw error;
  }
}

/** Refuses to run as root on data of another user: the server could not read files that root creates, and would skip them. */
async function refuseForeignData(dataDir: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const owner = await (await backendOf(dataDir)).ownerOf(dataDir);
  if (owner === null || owner === 0) return;
  throw new Error(
    `The data in ${dataDir} belongs to the user with the id ${owner}. Run the command as that user: sudo -u '#${owner}' …`,
  );
}
