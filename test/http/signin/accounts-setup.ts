/** Helpers of the tests of accounts. */
import assert from 'node:assert/strict';
import { ask, PASSWORD } from '../../support/product/people.ts';
import type { TestServer } from '../../support/product/server.ts';

export const OPEN = { LADING_REGISTRATION: 'open' };

export type Kind = 'ops' | 'client';

export async function member(
  { origin }: { origin: string },
  kind: Kind,
  username: string,
): Promise<Record<string, string>> {
  const made = await ask(origin, `/${kind}/signup`, { body: { username, password: PASSWORD } });
  assert.equal(made.status, 201, await made.clone().text());
  return login({ origin }, kind, username);
}

export async function login(
  { origin }: { origin: string },
  kind: Kind,
  username: string,
): Promise<Record<string, string>> {
  const reply = await ask(origin, `/${kind}/login`, { body: { username, password: PASSWORD } });
  assert.equal(reply.status, 200, await reply.clone().text());
  return { authorization: `Bearer ${await reply.text()}` };
}

export function upload(
  { origin }: TestServer,
  headers: Record<string, string>,
  name: string,
  bytes: Uint8Array | string,
  query = '',
): Promise<Response> {
  const form = new FormData();
  form.set('request_file', new Blob([new Uint8Array(Buffer.from(bytes))]), name);
  return fetch(`${origin}/ops/upload${query}`, { method: 'POST', headers, body: form });
}
