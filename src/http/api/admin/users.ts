/** /v1/user: administrators manage the people of their tenant. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LadingError } from '../../../errors.ts';
import { NOTHING, personValues } from '../../../identity/audit-changes.ts';
import type { Identity } from '../../../identity/directory/identity.ts';
import { mayManage, reachesTenant, tenantOf } from '../../../identity/rights/policy.ts';
import { composedName, normalizeEmail } from '../../../identity/subjects/people.ts';
import {
  NewPerson,
  PeopleList,
  PeopleQuery,
  Person,
  PersonChange,
  PersonKey,
  WhichPerson,
} from '../../../protocol/schemas/identity/people.ts';
import { TenantQuery } from '../../../protocol/schemas/identity/tenant.ts';
import { Message } from '../../../protocol/schemas/parts.ts';
import type { Role } from '../../../protocol/schemas/role.ts';
import type { PersonDocument } from '../../../records/subjects.ts';
import type { Config } from '../../../settings/config.ts';
import { requesterOf } from '../../access/bearer.ts';
import { changeOf, newPersonOf } from '../../access/person-input.ts';
import { shownPerson } from '../../access/sign-in.ts';
import { jsonBodies } from '../../body/json.ts';
import { auditChange } from '../../observe/audit-change.ts';
import { smallBody } from '../../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface UserDeps {
  config: Pick<Config, 'idleSeconds'>;
  identity: Identity;
}

const tags = ['People'];
const ADMINISTRATOR = [...SIGNED_IN, 'insufficient_scope', 'forbidden'] as const;

/** Registers the routes of people. */
export function userRoutes(app: FastifyInstance, deps: UserDeps): void {
  listRoute(app, deps);
  deleteRoute(app, deps);
  app.register(async (json) => {
    jsonBodies(json);
    createRoute(json, deps);
    findRoute(json, deps);
    updateRoute(json, deps);
  });
}

function listRoute(app: FastifyInstance, { identity }: UserDeps): void {
  app.get<{ Querystring: PeopleQuery }>('/v1/user', {
    schema: {
      tags,
      summary: 'Lists the people of the tenant in pages, oldest first.',
      querystring: PeopleQuery,
      response: { 200: PeopleList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ADMINISTRATOR },
    },
    config: { needs: 'users:admin' },
    handler: async (request, reply): Promise<PeopleList> => {
      reply.header('cache-control', 'no-store');
      const { limit = 100, cursor, tenant } = request.query;
      const people = identity.people.list(tenantOf(request.principal, tenant)).sort(byAge);
      const start = cursor === undefined ? 0 : firstAfter(people, cursor);
      const page = people.slice(start, start + limit);
      const last = page.at(-1);
      const more = last !== undefined && start + limit < people.length;
      return { users: page.map(shownPerson), next_cursor: more ? cursorOf(last) : null };
    },
  });
}

function byAge(a: PersonDocument, b: PersonDocument): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);
}

/** The position of a person in the list. It stays valid if the person is deleted. */
function cursorOf({ createdAt, id }: PersonDocument): string {
  return `${createdAt}-${id}`;
}

function firstAfter(people: readonly PersonDocument[], cursor: string): number {
  const [, time, id] = /^(\d{1,16})-([0-9a-f]{1,40})$/.exec(cursor) ?? [];
  if (id === undefined)
    throw new LadingError('invalid_request', 'The cursor is invalid. Send the next_cursor of the previous page.');
  const createdAt = Number(time);
  const index = people.findIndex(
    (person) => person.createdAt > createdAt || (person.createdAt === createdAt && person.id > id),
  );
  return index === -1 ? people.length : index;
}

function createRoute(app: FastifyInstance, { identity, config }: UserDeps): void {
  app.post<{ Body: NewPerson; Querystring: TenantQuery }>('/v1/user', {
    schema: {
      tags,
      summary: 'Creates a person.',
      querystring: TenantQuery,
      body: NewPerson,
      response: { 201: Person },
      documented: {
        replies: { 201: ['Cache-Control'] },
        errors: [...ADMINISTRATOR, 'not_found', 'already_exists', ...SMALL_BODY],
      },
    },
    config: { needs: 'users:admin', audit: 'user_created' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Person> => {
      const { role = 'client' } = request.body;
      const tenant = tenantOf(request.principal, request.query.tenant);
      request.audited = { tenant };
      requireRank(request, role);
      if (!identity.tenants.has(tenant)) throw new LadingError('not_found', 'There is no such tenant.');
      const created = await identity.people.create(
        { ...(await newPersonOf(request.body, request)), tenant, role },
        requesterOf(request),
      );
      auditChange(request, NOTHING, personValues(created));
      reply.code(201).header('cache-control', 'no-store');
      return shownPerson(created);
    },
  });
}

function findRoute(app: FastifyInstance, deps: UserDeps): void {
  const { identity, config } = deps;
  app.post<{ Body: WhichPerson; Querystring: TenantQuery }>('/v1/user/get_user', {
    schema: {
      tags,
      summary: 'Finds a person by id, e-mail address or names.',
      querystring: TenantQuery,
      body: WhichPerson,
      response: { 200: Person },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...ADMINISTRATOR, 'not_found', ...SMALL_BODY],
        storesNothing: true,
      },
    },
    config: { needs: 'users:admin' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Person> => {
      reply.header('cache-control', 'no-store');
      const tenant = tenantOf(request.principal, request.query.tenant);
      const wanted = wantedOf(request.body);
      if (wanted.length === 0) {
        throw new LadingError('validation_failed', 'Send the id, email, name or surname of the person.');
      }
      const [, id] = wanted.find(([key]) => key === 'id') ?? [];
      const candidates = id === undefined ? identity.people.list(tenant) : [personOf(deps, request, id)];
      const person = candidates.map(shownPerson).find((one) => wanted.every(([key, text]) => one[key] === text));
      if (!person) throw noPerson();
      return person;
    },
  });
}

/** The criteria in their stored form. */
function wantedOf(criteria: WhichPerson): [key: keyof WhichPerson, text: string][] {
  return (['id', 'email', 'name', 'surname'] as const).flatMap((key): [keyof WhichPerson, string][] => {
    const value = criteria[key] ?? null;
    if (value === null) return [];
    const text = String(value);
    if (key === 'id') return [[key, text]];
    return [[key, key === 'email' ? normalizeEmail(text) : composedName(text.trim())]];
  });
}

function updateRoute(app: FastifyInstance, deps: UserDeps): void {
  const { identity, config } = deps;
  app.put<{ Body: PersonChange; Querystring: PersonKey }>('/v1/user/update_user', {
    schema: {
      tags,
      summary:
        'Changes a person. A new password or role ends all sessions of the person; a new password also revokes their API tokens.',
      querystring: PersonKey,
      body: PersonChange,
      response: { 200: Person },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...ADMINISTRATOR, 'not_found', 'already_exists', ...SMALL_BODY],
      },
    },
    config: { needs: 'users:admin', audit: 'user_updated' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Person> => {
      reply.header('cache-control', 'no-store');
      const person = personOf(deps, request, request.query.pk);
      const { role, password, disabled, end_sessions: endSessions } = request.body;
      requireRank(request, person.role);
      if (role !== undefined) requireRank(request, role);
      if (person.id === request.principal.id && (role ?? password ?? disabled) !== undefined) {
        throw new LadingError(
          'forbidden',
          'You cannot change your own role. Change your password with PUT /v1/auth/me.',
        );
      }
      const change = {
        ...(await changeOf(request, person, request.body, request.body.email)),
        ...(role === undefined ? {} : { role }),
        disabled,
      };
      const after = await identity.people.update(person.id, change, requesterOf(request));
      if (!after) throw noPerson();
      const subject = { kind: 'person' as const, id: person.id };
      if (password !== undefined || after.role !== person.role || disabled || endSessions)
        await identity.sessions.endAllOf(subject);
      // Anyone who knew the old password may have created tokens with it.
      if (password !== undefined) await identity.apiTokens.revokeAllOf(subject);
      const sessions = endSessions ? ['open', 'ended'] : [];
      const passwordBefore = person.passwordHash === null ? null : 'old';
      const passwordAfter = password === undefined ? passwordBefore : 'new';
      auditChange(
        request,
        { ...personValues(person), password: passwordBefore, sessions: sessions[0] },
        { ...personValues(after), password: passwordAfter, sessions: sessions[1] },
      );
      return shownPerson(after);
    },
  });
}

function deleteRoute(app: FastifyInstance, deps: UserDeps): void {
  app.delete<{ Querystring: PersonKey }>('/v1/user/delete_user', {
    schema: {
      tags,
      summary: 'Deletes a person. Their tokens become invalid at once; their files stay.',
      querystring: PersonKey,
      response: { 200: Message },
      documented: { errors: [...ADMINISTRATOR, 'not_found'] },
    },
    config: { needs: 'users:admin', audit: 'user_deleted' },
    handler: async (request): Promise<Message> => {
      const person = personOf(deps, request, request.query.pk);
      const { id, role } = person;
      if (id === request.principal.id) throw new LadingError('invalid_request', 'You cannot delete your own account.');
      requireRank(request, role);
      if (!(await deps.identity.remove({ kind: 'person', id }))) throw noPerson();
      auditChange(request, personValues(person), NOTHING);
      return { message: `Person ${id} deleted.` };
    },
  });
}

/** The person with this id. @throws LadingError `not_found`, also for another tenant */
function personOf({ identity }: UserDeps, request: FastifyRequest, id: string): PersonDocument {
  const person = identity.people.get(id);
  if (!person || !reachesTenant(request.principal, person.tenant)) throw noPerson();
  request.audited = { tenant: person.tenant };
  return person;
}

/** @throws LadingError `insufficient_scope` */
function requireRank({ principal }: FastifyRequest, role: Role): void {
  if (mayManage(principal, role)) return;
  throw new LadingError('insufficient_scope', `You cannot create, change or delete people with the role ${role}.`);
}

function noPerson(): LadingError {
  return new LadingError('not_found', 'There is no such person.');
}
