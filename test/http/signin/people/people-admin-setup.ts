/** Helpers of the tests of administrators of people. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Person } from '../../../../src/protocol/schemas/identity/people.ts';
import type { Role } from '../../../../src/protocol/schemas/role.ts';
import { addPerson, seededFolder } from '../../../support/product/identity.ts';
import { type Ask, ask } from '../../../support/product/people.ts';
import { sign, startServer } from '../../../support/product/server.ts';

export const ROLES: readonly Role[] = ['client', 'ops', 'admin', 'root'];

/** A server with a person of each role in two tenants, and a function that sends requests as each of them. */
export async function staffed(t: TestContext, settings: Record<string, string> = {}) {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('acme', 'Acme');
    const ids = new Map<string, string>();
    for (const tenant of ['default', 'acme']) {
      for (const role of ROLES) {
        ids.set(`${tenant} ${role}`, await addPerson(identity, `${role}@${tenant}.example`, role, tenant));
      }
    }
    return ids;
  });
  const server = await startServer(t, settings, {}, dataDir);
  const id = (who: string): string => seeded.get(who) ?? assert.fail(`nobody is ${who}`);
  const headersOf = (who: string) => {
    const role = ROLES.find((name) => who.endsWith(name)) ?? 'client';
    return sign(server.app, id(who), role, 'person').headers;
  };
  const as = (who: string, path: string, what: Ask = {}) =>
    ask(server.origin, path, { ...what, headers: { ...headersOf(who), ...what.headers } });
  return { ...server, id, as, headersOf };
}

export const update = (id: string) => `/v1/user/update_user?pk=${id}`;

export const remove = (id: string) => `/v1/user/delete_user?pk=${id}`;

export const personOf = async (reply: Response): Promise<Person> => {
  assert.ok(reply.ok, `${reply.status} ${await reply.clone().text()}`);
  return (await reply.json()) as Person;
};
