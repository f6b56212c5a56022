/** Grants of a file. */
import { useState } from 'preact/hooks';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, ErrorMessage, Table } from '../parts.tsx';
import { useLive } from '../use-live.ts';

export function Grants({ page, name }: { page: PageProps; name: string }) {
  const { client, subject } = page.session;
  const [error, setError] = useState<string | null>(null);
  const live = useLive(page, {
    load: async (signal) => {
      const { given } = await client.grants.list({ signal });
      return given.filter(
        (grant) =>
          grant.owner === subject && (grant.kind === 'file' ? grant.name === name : name.startsWith(grant.name)),
      );
    },
    types: ['admin.changed'],
    everyMs: 5000,
    key: name,
  });
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setError(null);
    try {
      const grantee = String(new FormData(form).get('grantee')).trim();
      await client.grants.create({ filename: name, grantee });
      form.reset();
      live.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const rows = (live.value ?? []).map(({ grant_id: id, grantee, kind, name: granted, expires_at }) => ({
    key: id,
    cells: [
      <span class="name">{grantee}</span>,
      kind === 'file' ? 'this file' : `all files that begin with ${granted}`,
      expires_at === null ? 'never' : time(expires_at),
      <ActionButton
        kind="danger"
        label={`Revoke the grant of ${grantee}`}
        run={() => client.grants.revoke(id).then(live.refresh)}
        onError={setError}
      >
        Revoke
      </ActionButton>,
    ],
  }));
  return (
    <section class="card" aria-label="Grants">
      <h3>Grants</h3>
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <form class="inline" onSubmit={(event) => void create(event)}>
        <label>
          Client (id or name) or person (id or e-mail address)
          <input name="grantee" required maxLength={320} autocomplete="off" />
        </label>
        <button class="main" type="submit">
          Grant access
        </button>
      </form>
      <Table
        caption="Clients and people who may read this file, in addition to you and administrators"
        head={['Grantee', 'Files', 'Expires', 'Actions']}
        rows={rows}
        empty={live.value === null ? 'Loading …' : 'There are no grants.'}
      />
    </section>
  );
}
