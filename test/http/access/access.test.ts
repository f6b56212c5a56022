/**
 * The permissions of every kind of principal for every operation of the OpenAPI document. The table is independent of the code. A route
 * without a row fails the test, and so does a row without a route.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAccount } from '../../../src/identity/accounts.ts';
import type { ApiTokenCreated } from '../../../src/protocol/schemas/identity/token.ts';
import type { Role } from '../../../src/protocol/schemas/role.ts';
import { addPerson, seededFolder } from '../../support/product/identity.ts';
import { PASSWORD } from '../../support/product/people.ts';
import { sign, startServer } from '../../support/product/server.ts';
import {
  ACCESS_RULES,
  type AccessRule,
  type Caller,
  type Rule,
  SCOPES,
  type ScopeName,
} from '../../support/tables/access.ts';

type Outcome = 'let through' | 'refused 401' | 'refused 403';

const ADMINISTRATORS = ['admin', 'root'];

function isLetIn(rule: Rule, who: Caller): boolean {
  const { role = 'nobody', scope } = who;
  switch (rule) {
    case 'open':
    case 'signed-in':
      return true;
    case 'secret':
      return false;
    case 'person':
      return who.person === true;
    case 'session':
      return scope === undefined || who.narrowed === true;
    case 'whole':
      return scope === undefined || (scope === 'users:admin' && who.narrowed === true);
    case 'ops-account':
      return who.account === 'ops';
    case 'client-account':
      return who.account === 'client';
    case 'tokens':
      return scope === undefined || scope === 'tokens:admin' || who.narrowed === true;
    case 'new-token':
      return scope === undefined || scope === 'tokens:admin';
    case 'ops':
      return scope === undefined && [...ADMINISTRATORS, 'ops'].includes(role);
    case 'admin':
      return scope === undefined && ADMINISTRATORS.includes(role);
    case 'root':
      return scope === undefined && role === 'root';
    case 'files:read':
    case 'files:write':
    case 'files:delete':
    case 'calls':
      return scope === undefined || scope === rule;
    default:
      return scope === undefined ? ADMINISTRATORS.includes(role) : scope === rule;
  }
}

function expected(rule: Rule, who: Caller): Outcome {
  if (rule === 'secret' || (who.role === undefined && rule !== 'open')) return 'refused 401';
  return isLetIn(rule, who) ? 'let through' : 'refused 403';
}

function outcomeOf(status: number): Outcome {
  if (status === 401) return 'refused 401';
  return status === 403 ? 'refused 403' : 'let through';
}

/** A server with principals of every kind and without rate limits. */
async function everybody(t: Parameters<typeof startServer>[0]) {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    for (const role of ['client', 'ops', 'root'] as const) {
      await identity.clients.create({ id: role, secret: `the-secret-of-${role}`, role, name: null });
    }
    return {
      person: await addPerson(identity, 'ada@example.org'),
      boss: await addPerson(identity, 'boss@example.org', 'admin'),
      ops: (await createAccount(identity, 'default', 'ops', { username: 'ops', password: PASSWORD })).id,
      fetcher: (await createAccount(identity, 'default', 'client', { username: 'fetcher', password: PASSWORD })).id,
    };
  });
  const settings = {
    LADING_REGISTRATION: 'open',
    LADING_RATE_PRINCIPAL: '0',
    LADING_RATE_TOKEN: '0',
    LADING_RATE_ADDRESS: '0',
  };
  const { origin, app, admin, client } = await startServer(t, settings, {}, dataDir);
  const who = (name: string, id: string, role: Role, kind: 'device' | 'person' = 'device'): Caller => {
    return { name, role, person: kind === 'person', headers: () => sign(app, id, role, kind).headers };
  };
  const root = who('root', 'root', 'root');
  const tokens: Caller[] = [];
  for (const scope of SCOPES) {
    const headers = { ...root.headers(), 'content-type': 'application/json' };
    const body = JSON.stringify({ scopes: [scope] });
    const reply = await fetch(`${origin}/api/tokens`, { method: 'POST', headers, body });
    const { token } = (await reply.json()) as ApiTokenCreated;
    const own = { authorization: `Bearer ${token}` };
    tokens.push({ name: `token ${scope}`, role: 'root', scope, headers: () => own });
    const narrow = (): Record<string, string> => sign(app, 'root', 'root', 'device', scope).headers;
    tokens.push({ name: `root for ${scope}`, role: 'root', scope, narrowed: true, headers: narrow });
  }
  const all: Caller[] = [
    { name: 'nobody', headers: () => ({}) },
    who('client', 'client', 'client'),
    who('person', seeded.person, 'client', 'person'),
    who('ops', 'ops', 'ops'),
    { ...who('ops account', seeded.ops, 'client', 'person'), account: 'ops' },
    { ...who('client account', seeded.fetcher, 'client', 'person'), account: 'client' },
    who('admin', admin.id, 'admin'),
    who('person who is an administrator', seeded.boss, 'admin', 'person'),
    root,
    ...tokens,
  ];
  return { origin, all, client };
}

async function ask(
  origin: string,
  { operation, query = '', body, form, tus }: AccessRule,
  who: Caller,
): Promise<number> {
  const [method = '', path = ''] = operation.split(' ');
  const url = `${origin}${path.replaceAll(/\{[^}]*\}/g, 'none')}${query === '' ? '' : `?${query}`}`;
  const headers = { ...who.headers() };
  if (tus) headers['tus-resumable'] = '1.0.0';
  if (body) headers['content-type'] = 'application/json';
  const content = body ? JSON.stringify(body(who)) : form === undefined ? null : new URLSearchParams(form);
  const reply = await fetch(url, { method, headers, redirect: 'manual', body: content });
  await reply.arrayBuffer();
  return reply.status;
}

test('every operation permits exactly the principals in the table', async (t) => {
  const { origin, all } = await everybody(t);
  const { paths } = (await (await fetch(`${origin}/openapi.json`)).json()) as { paths: Record<string, object> };
  const served = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(
    ACCESS_RULES.map(({ operation }) => operation).sort(),
    served.sort(),
    'the table has every operation once',
  );
  const wrong: string[] = [];
  for (const line of ACCESS_RULES) {
    for (const who of all) {
      const status = await ask(origin, line, who);
      const wanted = expected(line.rule, who);
      if (outcomeOf(status) !== wanted) wrong.push(`${line.operation} by ${who.name}: ${status}, not ${wanted}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Operations on the files of others with `owner=`. `reads`: ops may as well. */
const OF_OTHERS: [operation: string, scope: ScopeName, reads: boolean][] = [
  ['GET /api/files/status/{filename}', 'files:read', true],
  ['GET /api/files/download/{filename}', 'files:read', true],
  ['HEAD /api/files/download/{filename}', 'files:read', true],
  ['POST /api/files/verify/{filename}', 'files:read', true],
  ['POST /api/files/share/{filename}', 'files:read', true],
  ['POST /api/files/player/{filename}', 'files:read', true],
  ['GET /api/shares', 'files:read', true],
  ['GET /api/grants', 'files:read', true],
  ['GET /api/files', 'files:read', true],
  ['POST /api/files/complete/{filename}', 'files:write', false],
  ['DELETE /api/files/{filename}', 'files:delete', false],
];

test('administrators use the files of others, ops read them, and clients do neither', async (t) => {
  const { origin, all, client } = await everybody(t);
  const wrong: string[] = [];
  for (const [operation, needed, reads] of OF_OTHERS) {
    for (const who of all) {
      const { role, scope } = who;
      const may = ADMINISTRATORS.includes(role ?? '') || (role === 'ops' && reads);
      // An API token accesses only the files of its owner.
      const allowed = may && scope === undefined;
      const wanted: Outcome = role === undefined ? 'refused 401' : allowed ? 'let through' : 'refused 403';
      for (const owner of [client.id, 'nobody-of-this-name']) {
        const status = await ask(origin, { operation, rule: needed, query: `owner=${owner}` }, who);
        if (outcomeOf(status) !== wanted) wrong.push(`${operation} by ${who.name}: ${status}, not ${wanted}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});
