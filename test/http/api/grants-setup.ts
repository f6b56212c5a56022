/** Helpers of the tests of grants. */
import assert from 'node:assert/strict';
import type { FileList } from '../../../src/protocol/schemas/files.ts';
import type { Grant } from '../../../src/protocol/schemas/grant.ts';
import { ask } from '../../support/product/people.ts';
import type { Account, TestServer } from '../../support/product/server.ts';

export type Who = Pick<Account, 'headers'>;

export function grant({ origin, client }: TestServer, body: object, who: Who = client, query = ''): Promise<Response> {
  return ask(origin, `/api/grants${query}`, { headers: { ...who.headers }, body });
}

export async function granted(server: TestServer, body: object, who: Who = server.client, query = ''): Promise<Grant> {
  const reply = await grant(server, body, who, query);
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as Grant;
}

/** A request of a principal for files of the server's client. */
export function of({ origin, client }: TestServer, path: string, { headers }: Who, more = ''): Promise<Response> {
  return fetch(`${origin}${path}?owner=${client.id}${more}`, { headers });
}

/** `200` or the error code, for each way to read a file. */
export async function waysTo(server: TestServer, name: string, who: Who): Promise<(number | string)[]> {
  const paths = ['download', 'status'].map((way) => `/api/files/${way}/${encodeURIComponent(name)}`);
  const replies = await Promise.all(paths.map((path) => of(server, path, who)));
  return Promise.all(
    replies.map(async (reply) => {
      const text = await reply.text();
      return reply.status === 200 ? 200 : (JSON.parse(text) as { code: string }).code;
    }),
  );
}

export async function names(server: TestServer, who: Who, more = ''): Promise<string[]> {
  const reply = await of(server, '/api/files', who, more);
  assert.equal(reply.status, 200, await reply.clone().text());
  return ((await reply.json()) as FileList).files.map(({ filename }) => filename);
}

export const BOTH = [200, 200];

export const NEITHER = ['forbidden', 'forbidden'];
