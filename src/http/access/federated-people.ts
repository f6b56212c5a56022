/** Whose account it is here that somebody has at an outside provider. */
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

/** Those who come back from a provider: of one account one at a time, so that two tabs of somebody new make one person. */
export class AccountLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Does the work when the one before of this account is over, whatever became of it. */
  run<T>({ account: { issuer, subject } }: FederatedPerson, work: () => Promise<T>): Promise<T> {
    const key = JSON.stringify([issuer, subject]);
    const mine = (this.#last.get(key) ?? Promise.resolve()).then(work, work);
    this.#last.set(key, mine);
    const over = (): void => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    };
    mine.then(over, over);
    return mine;
  }
}

/**
 * Whose account it is; made or added when it is nobody's yet.
 * @throws LadingError `forbidden`, `already_exists`
 */
export async function personFor(
  deps: FederatedPeopleDeps,
  request: FastifyRequest,
  { tenant, linkTo }: PendingLogin,
  who: FederatedPerson,
): Promise<PersonDocument> {
  const { people } = deps.identity;
  const known = people.byFederatedAccount(tenant, who.account);
  if (linkTo !== null) {
    if (known && known.id !== linkTo) {
      throw new LadingError('already_exists', 'This account at the provider belongs to another person here.');
    }
    return known ?? (await addAccount(deps, request, linkTo, who.account));
  }
  if (known) return known;
  const email = who.email === null ? null : checkEmail(who.email);
  const same = email === null ? null : people.byEmail(tenant, email);
  const closed = deps.config.registration === 'closed';
  if (same) {
    // Where anybody may register, somebody else may have done so with this address, waiting for its owner to come by this way.
    // An e-mail address alone must not give a provider control over a privileged account.
    if (same.role === 'client' && (closed || same.passwordHash === null))
      return addAccount(deps, request, same.id, who.account);
    throw new LadingError(
      'already_exists',
      'This address has an account here: sign in with its password, then link them.',
    );
  }
  if (closed) throw new LadingError('forbidden', 'Only an administrator makes accounts here; ask for one.');
  if (email === null) throw new LadingError('forbidden', 'The provider did not send a verified e-mail address.');
  const made = await people.create({
    tenant,
    role: 'client',
    email,
    name: checkPersonalName(who.name === '' ? email : who.name.slice(0, 100), 'name'),
    surname: who.surname === '' ? '' : checkPersonalName(who.surname.slice(0, 100), 'surname'),
    password: null,
    outside: [who.account],
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
  if (!changed)
    throw new LadingError('unauthorized', 'The account that was signed in no longer exists; sign in again.');
  await audited(deps, request, 'user_updated', person, changed);
  return changed;
}

/** Besides the sign-in, which is an entry of its own. */
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
