/** Clients: devices and administrators that sign in with an id and a secret. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { LadingClient } from '../../client/client.ts';
import type { Client, ClientCreated, ClientUpdate } from '../../protocol/schemas/identity/client.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { confirmRole, ErrorMessage, RoleSelect, Secret, Section, Table } from '../parts.tsx';
import { useLive } from '../use-live.ts';
import { AccountActions, ROLES, RoleChoice } from './accounts.tsx';

export function ClientsTab(props: PageProps) {
  const { client } = props.who;
  const [error, setError] = useState<string | null>(null);
  const [made, setMade] = useState<ClientCreated | null>(null);
  const live = useLive(props, {
    load: (signal) => client.clients.list({ signal }),
    types: ['admin.changed'],
    everyMs: 30_000,
  });
  const change = async (id: string, wish: ClientUpdate) => {
    await client.clients.update(id, wish);
    live.refresh();
  };
  const row = (entry: Client) => ({
    key: entry.client_id,
    cells: clientCells(entry, {
      change: (wish) => change(entry.client_id, wish),
      remove: () => client.clients.remove(entry.client_id).then(live.refresh),
      onError: setError,
    }),
  });
  return (
    <>
      {made && (
        <Secret
          label={`The secret of client ${made.client_id}`}
          value={made.client_secret}
          onDone={() => setMade(null)}
        />
      )}
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewClient
        client={client}
        onError={setError}
        onCreate={(created) => {
          setMade(created);
          live.refresh();
        }}
      />
      <Section title="Clients">
        <Table
          caption="Clients of this tenant"
          head={['Name', 'Id', 'Role', 'State', 'Created', 'Last used', 'Actions']}
          rows={(live.value ?? []).map(row)}
          empty={live.value === null ? 'Loading …' : 'There are no clients.'}
        />
      </Section>
    </>
  );
}

interface ClientActions {
  change(wish: ClientUpdate): Promise<unknown>;
  remove(): Promise<unknown>;
  onError(why: string | null): void;
}

function clientCells(entry: Client, { change, remove, onError }: ClientActions): ComponentChildren[] {
  const { client_id: id, name, role, created_at, last_used, disabled = false } = entry;
  const shown = name ?? id;
  return [
    <span class="name">{shown}</span>,
    <code>{id}</code>,
    <RoleSelect
      of={shown}
      role={role}
      roles={ROLES}
      onChange={(wanted) => change({ role: wanted })}
      onError={onError}
    />,
    disabled ? <span class="bad">disabled</span> : 'enabled',
    time(created_at),
    last_used === null ? 'never' : time(last_used),
    <AccountActions
      name={shown}
      disabled={disabled}
      removeQuestion={`Delete ${shown}? Its tokens stop working at once. Its files are kept.`}
      change={change}
      remove={remove}
      onError={onError}
    />,
  ];
}

interface NewClientProps {
  client: LadingClient;
  onCreate(created: ClientCreated): void;
  onError(why: string | null): void;
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
