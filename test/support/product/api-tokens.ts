/** Creates, lists and uses API tokens over HTTP. */
import assert from 'node:assert/strict';
import type { ApiToken, ApiTokenCreated, ApiTokenList } from '../../../src/protocol/schemas/identity/token.ts';
import type { TestServer } from './server.ts';

export type Headers = Record<string, string>;

export const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });

export function ask(
  origin: string,
  method: string,
  path: string,
  headers: Headers = {},
  body?: object,
): Promise<Response> {
  if (body === undefined) return fetch(`${origin}${path}`, { method, headers });
  const json = { ...headers, 'content-type': 'application/json' };
  return fetch(`${origin}${path}`, { method, headers: json, body: JSON.stringify(body) });
}

export async function createToken(
  { origin }: TestServer,
  by: { headers: Headers },
  body: object = {},
): Promise<ApiTokenCreated> {
  const reply = await ask(origin, 'POST', '/api/tokens', by.headers, body);
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as ApiTokenCreated;
}

export async function listTokens({ origin }: TestServer, by: { headers: Headers }, query = ''): Promise<ApiToken[]> {
  const reply = await ask(origin, 'GET', `/api/tokens${query}`, by.headers);
  assert.equal(reply.status, 200, await reply.clone().text());
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  const { tokens, count } = (await reply.json()) as ApiTokenList;
  assert.equal(count, tokens.length);
  return tokens;
}

/** The status of a request for the list of files, which needs files:read. */
export async function listFilesStatus({ origin }: TestServer, token: string): Promise<number> {
  const reply = await ask(origin, 'GET', '/api/files', bearer(token));
  await reply.arrayBuffer();
  return reply.status;
}
