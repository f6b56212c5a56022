/** /v1/auth/me: people read and change their account. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { personValues } from '../../identity/audit-changes.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Requester } from '../../identity/limits/fair-queue.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { OwnChange, Person } from '../../protocol/schemas/identity/people.ts';
import type { PersonDocument } from '../../records/subjects.ts';
import type { Config } from '../../settings/config.ts';
import { requesterOf } from '../access/bearer.ts';
import { changeOf } from '../access/person-input.ts';
import { keyOf, passwordAttempt, shownPerson, wrongCredentials } from '../access/sign-in.ts';
import { jsonBodies } from '../body/json.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { clearCookies } from '../request/cookies.ts';
import { SIGNED_IN, SMALL_BODY } from '../request/documented.ts';

/** What these routes need from the server. */
export interface OwnAccountDeps {
  config: Pick<Config, 'idleSeconds'>;
  identity: Identity;
  throttle: Throttle;
}

const tags = ['People'];

/** Registers the routes of the own account. */
export function ownAccountRoutes(app: FastifyInstance, deps: OwnAccountDeps): void {
  app.get('/v1/auth/me', {
    schema: {
      tags,
      summary: 'Returns your account.',
      response: { 200: Person },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ['forbidden', ...SIGNED_IN] },
    },
    config: { needs: 'sign-in' },
    handler: async (request, reply): Promise<Person> => {
      reply.header('cache-control', 'no-store');
      return shownPerson(personOf(deps, request));
    },
  });
  app.register(async (json) => ownChangeRoute(json, deps));
}

function ownChangeRoute(app: FastifyInstance, deps: OwnAccountDeps): void {
  const { identity, config } = deps;
  jsonBodies(app);
  app.put<{ Body: OwnChange }>('/v1/auth/me', {
    schema: {
      tags,
      summary: 'Changes your name or password. A new password requires the old one and ends all your sessions.',
      body: OwnChange,
      response: { 200: Person },
      documented: {
        replies: { 200: ['Cache-Control', 'Set-Cookie'] },
        errors: ['forbidden', 'rate_limited', ...SIGNED_IN, ...SMALL_BODY],
      },
    },
    config: { needs: 'sign-in', audit: 'user_updated' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Person> => {
      const person = personOf(deps, request);
      const change = await changeOf(request, person, request.body);
      if (change.password !== undefined) await requireOldPassword(deps, request, person);
      const after = await identity.people.update(person.id, change, requesterOf(request));
      if (!after) throw wrongCredentials();
      if (change.password !== undefined) {
        await identity.sessions.endAllOf({ kind: 'person', id: person.id });
        clearCookies(request, reply);
      }
      request.audited = { principal: request.principal, target: person.id };
      const password = change.password === undefined ? 'old' : 'new';
      auditChange(request, { ...personValues(person), password: 'old' }, { ...personValues(after), password });
      reply.header('cache-control', 'no-store');
      return shownPerson(after);
    },
  });
}

/** The signed-in person. @throws LadingError `forbidden` for a device or an API token */
function personOf({ identity }: OwnAccountDeps, { principal }: FastifyRequest): PersonDocument {
  const person = principal.kind === 'person' ? identity.people.get(principal.id) : null;
  if (person) return person;
  throw new LadingError('forbidden', 'Only people who are signed in may do this. Devices and API tokens may not.');
}

/** @throws LadingError `forbidden`, `rate_limited` */
async function requireOldPassword(
  { identity, throttle }: OwnAccountDeps,
  request: FastifyRequest<{ Body: OwnChange }>,
  person: PersonDocument,
): Promise<void> {
  // Throttled separately from sign-ins: only the holder of a token can guess here, and the token may be stolen.
  const key = `own ${keyOf(person)}`;
  const verify = async (requester: Requester): Promise<PersonDocument | null> =>
    (await identity.people.isPasswordOf(person.id, request.body.old_password ?? '', requester)) ? person : null;
  const correct = await throttle.attempt(key, request.ip, verify, passwordAttempt(identity, person, request));
  if (correct) return;
  throw new LadingError('forbidden', 'The old password is wrong. It is required to set a new one.');
}
