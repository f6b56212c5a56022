/** Ops and client accounts: people who sign in by a name, unique within its kind. Ops offer their files, clients fetch them. */

import { LadingError } from '../errors.ts';
import type { Principal } from '../records/principal.ts';
import type { AccountKind, PersonDocument } from '../records/subjects.ts';
import { checkPassword } from './credentials/passwords.ts';
import type { Identity } from './directory/identity.ts';
import type { Asker } from './limits/fair-queue.ts';
import { checkEmail, checkPersonalName, checkUsername } from './subjects/profile.ts';

/** What is sent to make an account. */
export interface NewAccount {
  username: string;
  password: string;
  name?: string | null;
  email?: string | null;
}

/**
 * Makes an account of the role `client`, whatever its kind: strangers may make one where registration is open, and the role `ops` reads
 * everything in a tenant. Durable when it resolves.
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
  // Older programs send what they do not know as empty text.
  const name = given.name ? checkPersonalName(given.name, 'name') : '';
  const contact = given.email ? checkEmail(given.email) : null;
  await checkPassword(given.password, { email: contact ?? '', name: username, surname: name, site }, asker);
  const account = { kind, username, contact };
  const { password } = given;
  return identity.people.create({ tenant, role: 'client', email: null, name, surname: '', password, account }, asker);
}

/**
 * The account of who asks, themselves or by an API token of theirs.
 * @throws LadingError `forbidden` for everybody who has none of this kind
 */
export function requireAccount(identity: Identity, principal: Principal, kind: AccountKind): PersonDocument {
  const person = principal.kind === 'device' ? null : identity.people.get(principal.id);
  if (person?.account?.kind === kind) return person;
  throw new LadingError('forbidden', `This is for ${kind} accounts; sign in at /${kind}/login.`);
}
