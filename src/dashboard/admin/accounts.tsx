/** Parts that the lists of clients and of people share. */
import type { Role } from '../../protocol/schemas/role.ts';
import { ActionButton } from '../parts.tsx';

/** Roles that administrators may assign. */
export const ROLES: Role[] = ['client', 'ops', 'admin'];

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

interface AccountActionsProps {
  name: string;
  disabled: boolean;
  removeQuestion: string;
  change(wish: { disabled: boolean } | { end_sessions: boolean }): Promise<unknown>;
  remove(): Promise<unknown>;
  onError(why: string | null): void;
}

/** Disable, end sessions, delete. */
export function AccountActions({ name, disabled, removeQuestion, change, remove, onError }: AccountActionsProps) {
  return (
    <span class="acts">
      <ActionButton
        label={`${disabled ? 'Enable' : 'Disable'} ${name}`}
        ask={disableQuestion(name, disabled)}
        run={() => change({ disabled: !disabled })}
        onError={onError}
      >
        {disabled ? 'Enable' : 'Disable'}
      </ActionButton>
      <ActionButton
        label={`End sessions of ${name}`}
        ask={`End all sessions of ${name}? Running transfers stop until the next sign-in.`}
        run={() => change({ end_sessions: true })}
        onError={onError}
      >
        End sessions
      </ActionButton>
      <ActionButton kind="danger" label={`Delete ${name}`} ask={removeQuestion} run={remove} onError={onError}>
        Delete
      </ActionButton>
    </span>
  );
}

function disableQuestion(name: string, disabled: boolean): string {
  if (disabled) return `Enable ${name}? All rights are restored at once.`;
  return `Disable ${name}? Requests are refused until it is enabled again. Files are kept.`;
}
