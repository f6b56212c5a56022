/** People who sign in by account or through an outside provider. */
import { useState } from 'preact/hooks';
import type { PersonChange } from '../../protocol/schemas/identity/people.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ActionButton, confirmRole, ErrorMessage, RoleSelect, Section, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';
import { disableQuestion, ROLES, RoleChoice } from './clients.tsx';

export function PeopleTab(props: PageProps) {
  const { client } = props.who;
  const [error, setError] = useState<string | null>(null);
  const live = useLive(props, {
    load: (signal) => collectAll(client.users.list({ signal })),
    types: ['admin.changed'],
    everyMs: 30_000,
  });
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const text = (name: string) => String(data.get(name) ?? '').trim();
    const role = text('role') as Role;
    if (!confirmRole(text('email'), role)) return;
    setError(null);
    try {
      const person = { name: text('name'), surname: text('surname'), email: text('email'), password: text('password') };
      await client.users.create({ ...person, role });
      form.reset();
      live.refresh();
    } catch (problem) {
      setError(messageOf(problem));
    }
  };
  const change = async (id: string, wish: PersonChange) => {
    await client.users.update(id, wish);
    live.refresh();
  };
  const rows = (live.value ?? []).map(({ id, name, surname, email, username, role, last_used, disabled = false }) => {
    const shown = email ?? username ?? id;
    return {
      key: id,
      cells: [
        <span class="name">{`${name} ${surname}`.trim() || shown}</span>,
        shown,
        <RoleSelect
          of={shown}
          role={role}
          roles={ROLES}
          onChange={(wanted) => change(id, { role: wanted })}
          onError={setError}
        />,
        disabled ? <span class="bad">disabled</span> : 'enabled',
        last_used === null ? 'never' : time(last_used),
        <span class="acts">
          <ActionButton
            label={`${disabled ? 'Enable' : 'Disable'} ${shown}`}
            ask={disableQuestion(shown, disabled)}
            run={() => change(id, { disabled: !disabled })}
            onError={setError}
          >
            {disabled ? 'Enable' : 'Disable'}
          </ActionButton>
          <ActionButton
            label={`End sessions of ${shown}`}
            ask={`End all sign-ins of ${shown}? Their running transfers stop until they sign in again.`}
            run={() => change(id, { end_sessions: true })}
            onError={setError}
          >
            End sessions
          </ActionButton>
          <ActionButton
            kind="danger"
            label={`Remove ${shown}`}
            ask={`Remove ${shown}? All their sign-ins end at once; their files stay.`}
            run={() => client.users.remove(id).then(live.refresh)}
            onError={setError}
          >
            Remove
          </ActionButton>
        </span>,
      ],
    };
  });
  return (
    <>
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <Section title="New account">
        <form class="inline" onSubmit={(event) => void create(event)}>
          <label>
            Given name
            <input name="name" required maxLength={100} autocomplete="off" />
          </label>
          <label>
            Family name
            <input name="surname" required maxLength={100} autocomplete="off" />
          </label>
          <label>
            E-mail address
            <input name="email" type="email" required autocomplete="off" />
          </label>
          <label>
            First password
            <input name="password" type="password" required minLength={8} autocomplete="new-password" />
          </label>
          <RoleChoice />
          <button class="main" type="submit">
            Make account
          </button>
        </form>
      </Section>
      <Section title="People">
        <p class="quiet">Another role ends all sign-ins of that person.</p>
        <Table
          caption="People of this tenant"
          head={['Name', 'Signs in as', 'Role', 'State', 'Last seen', 'Actions']}
          rows={rows}
          empty={live.value === null ? 'Loading …' : 'There is nobody yet.'}
        />
      </Section>
    </>
  );
}
