/** People who sign in with an account or through a sign-in provider. */
import { useState } from 'preact/hooks';
import type { LadingClient } from '../../client/client.ts';
import type { Person } from '../../protocol/schemas/identity/people.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { messageOf } from '../format.ts';
import type { PageProps } from '../page.ts';
import { confirmRole, ErrorMessage, Section } from '../parts.tsx';
import { collectAll, useLive } from '../use-live.ts';
import { type Account, AccountTable, RoleChoice } from './accounts.tsx';

export function PeopleTab(props: PageProps) {
  const { client } = props.session;
  const [error, setError] = useState<string | null>(null);
  const live = useLive(props, {
    load: (signal) => collectAll(client.users.list({ signal })),
    types: ['admin.changed'],
    everyMs: 30_000,
  });

  return (
    <>
      <ErrorMessage>{error ?? live.error}</ErrorMessage>
      <NewAccount client={client} onError={setError} onCreate={live.refresh} />
      <AccountTable
        title="People"
        note="A new role ends all sessions of the person."
        accounts={live.value?.map(accountOf) ?? null}
        head={['Name', 'Signs in as']}
        empty="There are no people."
        deletionNote="All sessions and tokens end at once. Files are kept."
        change={(id, change) => client.users.update(id, change).then(live.refresh)}
        remove={(id) => client.users.remove(id).then(live.refresh)}
        onError={setError}
      />
    </>
  );
}

function accountOf(person: Person): Account {
  const { id, name, surname, email, username, role, last_used, disabled = false } = person;
  const label = email ?? username ?? id;
  const cells = [<span class="name">{`${name} ${surname}`.trim() || label}</span>, label];
  return { id, label, role, disabled, last_used, cells };
}

interface NewAccountProps {
  client: LadingClient;
  onCreate(): void;
  onError(message: string | null): void;
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
