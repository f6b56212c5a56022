/** Finds or creates the account of a person who signs in through a provider. */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { Audit } from '../../identity/audit.ts';
import { describeChanges, NOTHING, personValues } from '../../identity/audit-changes.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { PendingLogin } from '../../identity/federation/pending-logins.ts';
import type { FederatedPerson } from '../../identity/federation/providers.ts';
import { checkEmail, checkPersonalName } from '../../identity/subjects/profile.ts';
import type { FederatedAccount, PersonDocument } from '../../records/subjects.ts';
import type { Config } from '../../settings/config.ts';

/** What these functions need from the server. */
export interface FederatedPeopleDeps {
  config: Pick<Config, 'registration'>;
  identity: Identity;
  audit: Audit;
}

/** Runs sign-ins of the same provider account one after the other, so that two tabs of a new person create one account. */
export class AccountLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` after the previous work for this account has settled. */
  run<T>({ account: { issuer, subject } }: FederatedPerson, work: () => Promise<T>): Promise<T> {
    const key = JSON.stringify([issuer, subject]);
    const mine = (this.#last.get(key) ?? Promise.resolve()).then(work, work);
    this.#last.set(key, mine);
    const forget = (): void => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  }
}

/**
 * The person with an account at a provider. Links the account to the person who is signed in, or to a person with the same address, or
 * creates a person.
 * @throws LadingError `forbidden`, `already_exists`
 */
export async function personFor(
  deps: FederatedPeopleDeps,
  request: FastifyRequest,
  { tenant, linkTo }: PendingLogin,
  profile: FederatedPerson,
): Promise<PersonDocument> {
  const { people } = deps.identity;
  const known = people.byFederatedAccount(tenant, profile.account);
  if (linkTo !== null) {
    if (known && known.id !== linkTo) {
      throw new LadingError('already_exists', 'This account at the provider is linked to another account here.');
    }
    return known ?? (await addAccount(deps, request, linkTo, profile.account));
  }
  if (known) return known;
  const email = profile.email === null ? null : checkEmail(profile.email);
  const same = email === null ? null : people.byEmail(tenant, email);
  const closed = deps.config.registration === 'closed';
  if (same) {
    // If registration is open, an attacker may have registered this address to wait for its owner. And an e-mail address alone must not
    // give a provider control over a privileged account.
    if (same.role === 'client' && (closed || same.passwordHash === null))
      return addAccount(deps, request, same.id, profile.account);
    throw new LadingError(
      'already_exists',
      'An account with this address exists. Sign in with its password, then link the provider.',
    );
  }
  if (closed) throw new LadingError('forbidden', 'Registration is closed. Ask an administrator for an account.');
  if (email === null) throw new LadingError('forbidden', 'The provider did not send a verified e-mail address.');
  const made = await people.create({
    tenant,
    role: 'client',
    email,
    name: checkPersonalName(profile.name === '' ? email : profile.name.slice(0, 100), 'name'),
    surname: profile.surname === '' ? '' : checkPersonalName(profile.surname.slice(0, 100), 'surname'),
    password: null,
    outside: [profile.account],
  });
  await audited(deps, request, 'user_created', null, made);
  return made;
}

async function addAccount(
  deps: Pick<FederatedPeopleDeps, 'identity' | 'audit'>,
  request: FastifyRequest,
  id: string,
  account: FederatedAccount,
): Promise<PersonDocument> {
  const { identity } = deps;
  const person = identity.people.get(id);
  const changed = person && (await identity.people.update(id, { outside: [...person.outside, account] }));
  if (!changed) throw new LadingError('unauthorized', 'Your account no longer exists. Sign in again.');
  await audited(deps, request, 'user_updated', person, changed);
  return changed;
}

/** Records the new or changed account. The sign-in itself has another entry. */
function audited(
  { audit }: Pick<FederatedPeopleDeps, 'audit'>,
  request: FastifyRequest,
  action: 'user_created' | 'user_updated',
  before: PersonDocument | null,
  person: PersonDocument,
): Promise<void> {
  return audit.record({
    action,
    outcome: 'ok',
    principal: { id: person.id, kind: 'person' },
    tenant: person.tenant,
    address: request.ip,
    target: person.id,
    detail: describeChanges(before ? personValues(before) : NOTHING, personValues(person)),
    requestId: request.id,
  });
}
