/** Ops and client accounts: people who sign in with a username, which is unique within its kind. Ops upload files, clients download them. */

import { LadingError } from '../errors.ts';
import type { Principal } from '../records/principal.ts';
import type { AccountKind, PersonDocument } from '../records/subjects.ts';
import { checkPassword } from './credentials/passwords.ts';
import type { Identity } from './directory/identity.ts';
import type { Requester } from './limits/fair-queue.ts';
import { checkEmail, checkPersonalName, checkUsername } from './subjects/profile.ts';

/** An account to create. */
export interface NewAccount {
  username: string;
  password: string;
  name?: string | null;
  email?: string | null;
}

/**
 * Creates an account with the role `client`, also for the kind `ops`: if registration is open, anyone can create an account, and the role
 * `ops` may read every file of its tenant. Durable when it resolves.
 * @throws LadingError `validation_failed`, `already_exists`
 */
export async function createAccount(
  identity: Identity,
  tenant: string,
  kind: AccountKind,
  given: NewAccount,
  site = '',
  requester?: Requester,
): Promise<PersonDocument> {
  const username = checkUsername(given.username);
  // Older programs send unknown fields as empty strings.
  const name = given.name ? checkPersonalName(given.name, 'name') : '';
  const contact = given.email ? checkEmail(given.email) : null;
  await checkPassword(given.password, { email: contact ?? '', name: username, surname: name, site }, requester);
  const account = { kind, username, contact };
  const { password } = given;
  return identity.people.create(
    { tenant, role: 'client', email: null, name, surname: '', password, account },
    requester,
  );
}

/**
 * The account of the principal, or of the owner of an API token.
 * @throws LadingError `forbidden` if the principal has no account of this kind
 */
export function requireAccount(identity: Identity, principal: Principal, kind: AccountKind): PersonDocument {
  const person = principal.kind === 'device' ? null : identity.people.get(principal.id);
  if (person?.account?.kind === kind) return person;
  throw new LadingError('forbidden', `Only ${kind} accounts may do this; sign in at /${kind}/login.`);
}
