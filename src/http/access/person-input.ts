/** Validates and normalizes the data of a person in a request. */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { checkPassword } from '../../identity/credentials/passwords.ts';
import type { PersonChange } from '../../identity/subjects/people.ts';
import { checkEmail, checkPersonalName } from '../../identity/subjects/profile.ts';
import type { NewPerson, OwnChange } from '../../protocol/schemas/identity/people.ts';
import type { PersonDocument } from '../../records/subjects.ts';
import { requesterOf } from './bearer.ts';

/**
 * Checks the data of a new person.
 * @throws LadingError `validation_failed`
 */
export async function newPersonOf(
  given: Omit<NewPerson, 'role'>,
  request: FastifyRequest,
): Promise<Record<'email' | 'name' | 'surname' | 'password', string>> {
  const person = {
    email: checkEmail(given.email),
    name: checkPersonalName(given.name, 'name'),
    surname: given.surname ? checkPersonalName(given.surname, 'surname') : '',
  };
  sameTwice(given.password, given.password2);
  await checkPassword(given.password, { ...person, site: request.hostname }, requesterOf(request));
  return { ...person, password: given.password };
}

/**
 * Checks a change of a person. The new password is checked against the new names.
 * @param email only if the caller may change it: the new address has not been verified
 * @throws LadingError `validation_failed`
 */
export async function changeOf(
  request: FastifyRequest,
  person: PersonDocument,
  { name, surname, password, password2 }: OwnChange,
  email?: string,
): Promise<PersonChange> {
  const change: PersonChange = {
    ...(isGiven(name) ? { name: checkPersonalName(name, 'name') } : {}),
    ...(isGiven(surname) ? { surname: checkPersonalName(surname, 'surname') } : {}),
    ...(email === undefined ? {} : { email: checkEmail(email) }),
  };
  if (!isGiven(password)) return change;
  sameTwice(password, password2);
  const known = { ...person, ...change };
  const { name: first, surname: last, account } = known;
  const names = { name: account?.username ?? first, surname: account ? first : last };
  const others = { email: known.email ?? account?.contact ?? '', site: request.hostname };
  await checkPassword(password, { ...names, ...others }, requesterOf(request));
  return { ...change, password };
}

/** Null counts as absent, because some programs send null for fields that nobody filled in. */
function isGiven(value: string | null | undefined): value is string {
  return value !== undefined && value !== null;
}

/** @throws LadingError `validation_failed` */
function sameTwice(password: string, again: string | null | undefined): void {
  if (!isGiven(again) || again === password) return;
  throw new LadingError('validation_failed', 'The two passwords do not match.');
}
