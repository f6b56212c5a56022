/** Devices and administrators that sign in with an id and a secret. */
import { useState } from 'preact/hooks';
import type { ClientCreated, ClientUpdate } from '../../protocol/schemas/identity/client.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, confirmRole, ErrorMessage, RoleSelect, Secret, Section, Table } from '../parts.tsx';
import { useLive } from '../use-live.ts';

export const ROLES: Role[] = ['client', 'ops', 'admin'];

/** Asked before somebody is let in or shut out. */
export function disableQuestion(who: string, disabled: boolean): string {
  if (disabled) return `Enable ${who}? It gets all its rights back at once.`;
  return `Disable ${who}? Its requests are refused from now on, until it is enabled again. Its files are kept.`;
}

export function ClientsTab(props: PageProps) {
  const { client } = props.who;
  const [error, setError] = useState<string | null>(null);
  const [made, setMade] = useState<ClientCreated | null>(null);
  const live = useLive(props, {
    load: (signal) => client.clients.list({ signal }),
    types: ['admin.changed'],
    everyMs: 30_000,
  });
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const name = String(data.get('name') ?? '').trim();
    const role = data.get('role') as Role;
    if (!confirmRole(name === '' ? 'the new client' : name, role)) return;
    setError(null);
    try {
      setMade(await client.clients.create({ role, ...(name === '' ? {} : { name }) }));
      form.reset();
      live.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const change = async (id: string, wish: ClientUpdate) => {
    await client.clients.update(id, wish);
    live.refresh();
  };
  const rows = (live.value ?? []).map(({ client_id: id, name, role, created_at, last_used, disabled = false }) => ({
    key: id,
    cells: [
      <span class="name">{name ?? id}</span>,
      <code>{id}</code>,
      <RoleSelect
        of={name ?? id}
        role={role}
        roles={ROLES}
        onChange={(wanted) => change(id, { role: wanted })}
        onError={setError}
      />,
      disabled ? <span class="bad">disabled</span> : 'enabled',
      time(created_at),
      last_used === null ? 'never' : time(last_used),
      <span class="acts">
        <ActionButton
          label={`${disabled ? 'Enable' : 'Disable'} ${name ?? id}`}
          ask={disableQuestion(name ?? id, disabled)}
          run={() => change(id, { disabled: !disabled })}
          onError={setError}
        >
          {disabled ? 'Enable' : 'Disable'}
        </ActionButton>
        <ActionButton
          label={`End sessions of ${name ?? id}`}
          ask={`End all sign-ins of ${name ?? id}? Its running transfers stop until it signs in again.`}
          run={() => change(id, { end_sessions: true })}
          onError={setError}
        >
          End sessions
        </ActionButton>
        <ActionButton
          kind="danger"
          label={`Remove ${name ?? id}`}
          ask={`Remove ${name ?? id}? Its tokens are worthless at once; its files stay.`}
          run={() => client.clients.remove(id).then(live.refresh)}
          onError={setError}
        >
          Remove
        </ActionButton>
      </span>,
    ],
  }));
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
      <Section title="New client">
        <form class="inline" onSubmit={(event) => void create(event)}>
          <label>
            What it is
            <input name="name" maxLength={200} placeholder="camera 7" />
          </label>
          <RoleChoice />
          <button class="main" type="submit">
            Enrol
          </button>
        </form>
      </Section>
      <Section title="Clients">
        <Table
          caption="Clients of this tenant"
          head={['Name', 'Id', 'Role', 'State', 'Enrolled', 'Last used', 'Actions']}
          rows={rows}
          empty={live.value === null ? 'Loading …' : 'There is no client yet.'}
        />
      </Section>
    </>
  );
}

export function RoleChoice() {
  return (
    <label>
      Role
      <select name="role">
        <option value="client">client: its own files</option>
        <option value="ops">ops: reads the files of all</option>
        <option value="admin">admin: looks after the tenant</option>
      </select>
    </label>
  );
}
