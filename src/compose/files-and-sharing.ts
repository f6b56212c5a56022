/** Ends share links and grants together with their files. */
import type { Catalog } from '../contracts/catalog.ts';
import type { Identity } from '../identity/directory/identity.ts';
import type { Warn } from './warn.ts';

/** Ends the share links and grants of a file when it is deleted or replaced, and at start those that a crash left behind. */
export async function endSharingWithFiles(identity: Identity, catalog: Catalog, warn: Warn): Promise<void> {
  await identity.reconcileFiles(
    (id) => catalog.has(id),
    async (owner, name) => {
      const { sealed, open } = await catalog.find(owner, name);
      return sealed ?? (open?.continues ? open : null);
    },
  );
  const failed = (id: string) => (error: unknown) => {
    warn('share links or grants of a removed file could not be ended; the next start tries again', { id, error });
  };
  catalog.subscribe({
    added: ({ id, replaces }) => {
      if (replaces !== null) identity.grants.fileReplaced(replaces, id).catch(failed(id));
    },
    removed: ({ id }) => {
      // An updated document is also reported as removed and added, so check that the file is really gone.
      void catalog
        .has(id)
        .then(async (has) => (has ? undefined : identity.fileRemoved(id)))
        .catch(failed(id));
    },
  });
}
