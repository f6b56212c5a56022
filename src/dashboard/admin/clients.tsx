/** Clients: devices and administrators that sign in with an id and a secret. */
import { useState } from 'preact/hooks';
import type { LadingClient } from '../../client/client.ts';
import type { Client, ClientCreated } from '../../protocol/schemas/identity/client.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { confirmRole, ErrorMessage, Secret, Section } from '../parts.tsx';
import { useLive } from '../use-live.ts';
import { type Account, AccountTable, RoleChoice } from './accounts.tsx';

export function ClientsTab(props: PageProps) {
  const { client } = props.session;
  const [error, setError] = useState<string | null>(null);
  const [created, setCreated] = useState<ClientCreated | null>(null);
  const live = useLive(props, {
    load: (signal) => client.clients.list({ signal }),
    types: ['admin.changed'],
    everyMs: 30_000,
  });

  return (
    <>
      {created && (
        <Secret
          label={`The secret of client ${created.client_id}`}
          value={created.client_secret}
          onDone={() => setCreated(null)}
        />
      )}
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewClient
        client={client}
        onError={setError}
        onCreate={(result) => {
          setCreated(result);
          live.refresh();
        }}
      />
      <AccountTable
        title="Clients"
        accounts={live.value?.map(accountOf) ?? null}
        head={['Name', 'Id', 'Created']}
        empty="There are no clients."
        deletionNote="Its tokens stop working at once. Its files are kept."
        change={(id, change) => client.clients.update(id, change).then(live.refresh)}
        remove={(id) => client.clients.remove(id).then(live.refresh)}
        onError={setError}
      />
    </>
  );
}

function accountOf({ client_id: id, name, role, created_at, last_used, disabled = false }: Client): Account {
  const label = name ?? id;
  const cells = [<span class="name">{label}</span>, <code>{id}</code>, time(created_at)];
  return { id, label, role, disabled, last_used, cells };
}

interface NewClientProps {
  client: LadingClient;
  onCreate(created: ClientCreated): void;
  onError(message: string | null): void;
}

function NewClient({ client, onCreate, onError }: NewClientProps) {
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const name = String(data.get('name') ?? '').trim();
    const role = data.get('role') as Role;
    if (!confirmRole(name === '' ? 'the new client' : name, role)) return;
    onError(null);
    try {
      onCreate(await client.clients.create({ role, ...(name === '' ? {} : { name }) }));
      form.reset();
    } catch (problem) {
      onError(messageOf(problem));
    }
  };
  return (
    <Section title="New client">
      <form class="inline" onSubmit={(event) => void create(event)}>
        <label>
          Client name
          <input name="name" maxLength={200} placeholder="camera 7" />
        </label>
        <RoleChoice />
        <button class="main" type="submit">
          Create client
        </button>
      </form>
    </Section>
  );
}
