/** People who sign in with an account or through a sign-in provider. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { LadingClient } from '../../client/client.ts';
import type { Person, PersonChange } from '../../protocol/schemas/identity/people.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { messageOf, time } from '../format.ts';
import type { PageProps } from '../page.ts';
import { confirmRole, ErrorMessage, RoleSelect, Section, Table } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';
import { AccountActions, ROLES, RoleChoice } from './accounts.tsx';

export function PeopleTab(props: PageProps) {
  const { client } = props.who;
  const [error, setError] = useState<string | null>(null);
  const live = useLive(props, {
    load: (signal) => collectAll(client.users.list({ signal })),
    types: ['admin.changed'],
    everyMs: 30_000,
  });
  const change = async (id: string, wish: PersonChange) => {
    await client.users.update(id, wish);
    live.refresh();
  };
  const row = (person: Person) => ({
    key: person.id,
    cells: personCells(person, {
      change: (wish) => change(person.id, wish),
      remove: () => client.users.remove(person.id).then(live.refresh),
      onError: setError,
    }),
  });
  return (
    <>
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewAccount client={client} onError={setError} onCreate={live.refresh} />
      <Section title="People">
        <p class="quiet">A new role ends all sessions of the person.</p>
        <Table
          caption="People of this tenant"
          head={['Name', 'Signs in as', 'Role', 'State', 'Last used', 'Actions']}
          rows={(live.value ?? []).map(row)}
          empty={live.value === null ? 'Loading …' : 'There are no people.'}
        />
      </Section>
    </>
  );
}

interface PersonActions {
  change(wish: PersonChange): Promise<unknown>;
  remove(): Promise<unknown>;
  onError(why: string | null): void;
}

function personCells(person: Person, { change, remove, onError }: PersonActions): ComponentChildren[] {
  const { id, name, surname, email, username, role, last_used, disabled = false } = person;
  const shown = email ?? username ?? id;
  return [
    <span class="name">{`${name} ${surname}`.trim() || shown}</span>,
    shown,
    <RoleSelect
      of={shown}
      role={role}
      roles={ROLES}
      onChange={(wanted) => change({ role: wanted })}
      onError={onError}
    />,
    disabled ? <span class="bad">disabled</span> : 'enabled',
    last_used === null ? 'never' : time(last_used),
    <AccountActions
      name={shown}
      disabled={disabled}
      removeQuestion={`Delete ${shown}? All sessions and tokens end at once. Files are kept.`}
      change={change}
      remove={remove}
      onError={onError}
    />,
  ];
}

interface NewAccountProps {
  client: LadingClient;
  onCreate(): void;
  onError(why: string | null): void;
}

function NewAccount({ client, onCreate, onError }: NewAccountProps) {
  const create = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const text = (name: string) => String(data.get(name) ?? '').trim();
    const role = text('role') as Role;
    if (!confirmRole(text('email'), role)) return;
    onError(null);
    try {
      const person = { name: text('name'), surname: text('surname'), email: text('email'), password: text('password') };
      await client.users.create({ ...person, role });
      form.reset();
      onCreate();
    } catch (problem) {
      onError(messageOf(problem));
    }
  };
  return (
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
          Initial password
          <input name="password" type="password" required minLength={8} autocomplete="new-password" />
        </label>
        <RoleChoice />
        <button class="main" type="submit">
          Create account
        </button>
      </form>
    </Section>
  );
}
