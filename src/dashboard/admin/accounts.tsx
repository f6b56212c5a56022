/** The table that the lists of clients and of people share. */
import type { ComponentChildren } from 'preact';
import type { Role } from '../../protocol/schemas/role.ts';
import { time } from '../format.ts';
import { ActionButton, RoleSelect, Section, Table } from '../parts.tsx';

/** Roles that administrators may assign. */
const ROLES: Role[] = ['client', 'ops', 'admin'];

/** The role of a new account, as a form field. */
export function RoleChoice() {
  return (
    <label>
      Role
      <select name="role">
        <option value="client">client: own files</option>
        <option value="ops">ops: reads all files</option>
        <option value="admin">admin: manages the tenant</option>
      </select>
    </label>
  );
}

/** Changes that clients and people have in common. */
export type AccountChange = { role: Role } | { disabled: boolean } | { end_sessions: boolean };

/** A client or person, as a row of the table. */
export interface Account {
  id: string;
  /** The name that questions and labels use. */
  label: string;
  role: Role;
  disabled: boolean;
  last_used: string | null;
  /** The cells before the role, in the order of `head`. */
  cells: ComponentChildren[];
}

interface AccountTableProps {
  title: string;
  /** Null while the list is loading. */
  accounts: Account[] | null;
  /** Headings of the cells before the role. */
  head: string[];
  empty: string;
  /** What the deletion of an account ends, for the question. */
  deletionNote: string;
  note?: string;
  change(id: string, change: AccountChange): Promise<unknown>;
  remove(id: string): Promise<unknown>;
  onError(message: string | null): void;
}

/** Clients or people with their role and state, and the actions on them. */
export function AccountTable(props: AccountTableProps) {
  const { title, accounts, head, empty, deletionNote, note, change, remove, onError } = props;
  const row = ({ id, label, role, disabled, last_used, cells }: Account) => ({
    key: id,
    cells: [
      ...cells,
      <RoleSelect
        name={label}
        role={role}
        roles={ROLES}
        onChange={(selected) => change(id, { role: selected })}
        onError={onError}
      />,
      disabled ? <span class="bad">disabled</span> : 'enabled',
      last_used === null ? 'never' : time(last_used),
      <AccountActions
        name={label}
        disabled={disabled}
        deletionQuestion={`Delete ${label}? ${deletionNote}`}
        change={(wanted) => change(id, wanted)}
        remove={() => remove(id)}
        onError={onError}
      />,
    ],
  });
  return (
    <Section title={title}>
      {note !== undefined && <p class="quiet">{note}</p>}
      <Table
        caption={`${title} of this tenant`}
        head={[...head, 'Role', 'State', 'Last used', 'Actions']}
        rows={(accounts ?? []).map(row)}
        empty={accounts === null ? 'Loading …' : empty}
      />
    </Section>
  );
}

interface AccountActionsProps {
  name: string;
  disabled: boolean;
  deletionQuestion: string;
  change(change: AccountChange): Promise<unknown>;
  remove(): Promise<unknown>;
  onError(message: string | null): void;
}

/** Buttons that disable or enable an account, end its sessions, and delete it. */
function AccountActions({ name, disabled, deletionQuestion, change, remove, onError }: AccountActionsProps) {
  return (
    <span class="actions">
      <ActionButton
        label={`${disabled ? 'Enable' : 'Disable'} ${name}`}
        question={disableQuestion(name, disabled)}
        run={() => change({ disabled: !disabled })}
        onError={onError}
      >
        {disabled ? 'Enable' : 'Disable'}
      </ActionButton>
      <ActionButton
        label={`End sessions of ${name}`}
        question={`End all sessions of ${name}? Running transfers stop until the next sign-in.`}
        run={() => change({ end_sessions: true })}
        onError={onError}
      >
        End sessions
      </ActionButton>
      <ActionButton kind="danger" label={`Delete ${name}`} question={deletionQuestion} run={remove} onError={onError}>
        Delete
      </ActionButton>
    </span>
  );
}

function disableQuestion(name: string, disabled: boolean): string {
  if (disabled) return `Enable ${name}? All rights are restored at once.`;
  return `Disable ${name}? Requests are refused until it is enabled again. Files are kept.`;
}
