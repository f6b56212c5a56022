/** Ops and client accounts: people who sign in with a username, unique within its kind. Ops offer files, clients fetch them. */

import { LadingError } from '../errors.ts';
import type { Principal } from '../records/principal.ts';
import type { AccountKind, PersonDocument } from '../records/subjects.ts';
import { checkPassword } from './credentials/passwords.ts';
import type { Identity } from './directory/identity.ts';
import type { Asker } from './limits/fair-queue.ts';
import { checkEmail, checkPersonalName, checkUsername } from './subjects/profile.ts';

/** Request to create an account. */
export interface NewAccount {
  username: string;
  password: string;
  name?: string | null;
  email?: string | null;
}

/**
 * Creates an account with the role `client`, even for kind `ops`: where registration is open anyone can create one, and the role `ops`
 * may read every file of its tenant. Durable when it resolves.
 * @throws LadingError `validation_failed`, `already_exists`
 */
export async function createAccount(
  identity: Identity,
  tenant: string,
  kind: AccountKind,
  given: NewAccount,
  site = '',
  asker?: Asker,
): Promise<PersonDocument> {
  const username = checkUsername(given.username);
  // Older programs send unknown fields as empty strings.
  const name = given.name ? checkPersonalName(given.name, 'name') : '';
  const contact = given.email ? checkEmail(given.email) : null;
  await checkPassword(given.password, { email: contact ?? '', name: username, surname: name, site }, asker);
  const account = { kind, username, contact };
  const { password } = given;
  return identity.people.create({ tenant, role: 'client', email: null, name, surname: '', password, account }, asker);
}

/**
 * The account of the principal, who may use an API token.
 * @throws LadingError `forbidden` if the principal has no account of this kind
 */
export function requireAccount(identity: Identity, principal: Principal, kind: AccountKind): PersonDocument {
  const person = principal.kind === 'device' ? null : identity.people.get(principal.id);
  if (person?.account?.kind === kind) return person;
  throw new LadingError('forbidden', `This is for ${kind} accounts; sign in at /${kind}/login.`);
}
