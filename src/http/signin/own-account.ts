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
      return shownPerson(whoAsks(deps, request));
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
      summary: 'Changes your name, or your password with the old one.',
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
      const person = whoAsks(deps, request);
      const change = await changeOf(request, person, request.body);
      if (change.password !== undefined) await proveOldPassword(deps, request, person);
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

/** @throws LadingError `forbidden` for a device or an API token */
function whoAsks({ identity }: OwnAccountDeps, { principal }: FastifyRequest): PersonDocument {
  const person = principal.kind === 'person' ? identity.people.get(principal.id) : null;
  if (person) return person;
  throw new LadingError('forbidden', 'Only people who have signed in may do this, not devices or API tokens.');
}

async function proveOldPassword(
  { identity, throttle }: OwnAccountDeps,
  request: FastifyRequest<{ Body: OwnChange }>,
  person: PersonDocument,
): Promise<void> {
  // Throttled apart from sign-ins: here only the holder of a token can guess, and the token may be stolen.
  const key = `own ${keyOf(person)}`;
  const isRight = async (requester: Requester): Promise<PersonDocument | null> =>
    (await identity.people.isPasswordOf(person.id, request.body.old_password ?? '', requester)) ? person : null;
  const right = await throttle.attempt(key, request.ip, isRight, passwordAttempt(identity, person, request));
  if (right) return;
  throw new LadingError('forbidden', 'The old password is wrong. It is required to set a new one.');
}
