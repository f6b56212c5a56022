/** Helpers of the tests of shares. */
import assert from 'node:assert/strict';
import type { Share, ShareCreated, ShareList } from '../../../src/protocol/schemas/share.ts';
import { ask } from '../../support/product/people.ts';
import type { Account, TestServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

export type Who = Pick<Account, 'headers'>;

export async function alphabet(server: TestServer, name = 'a.txt'): Promise<void> {
  await put(server, name, 0, ALPHABET, { total_size: '26' });
}

export function share(
  { origin }: TestServer,
  { headers }: Who,
  name: string,
  body?: object,
  query = '',
): Promise<Response> {
  const path = `/api/files/share/${encodeURIComponent(name)}${query}`;
  return ask(origin, path, { method: 'POST', headers: { ...headers }, ...(body ? { body } : {}) });
}

export async function made(
  server: TestServer,
  body: object = {},
  name = 'a.txt',
  who: Who = server.client,
): Promise<ShareCreated> {
  const reply = await share(server, who, name, body);
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as ShareCreated;
}

export async function listed({ origin }: TestServer, { headers }: Who, query = ''): Promise<Share[]> {
  const reply = await ask(origin, `/api/shares${query}`, { headers: { ...headers } });
  assert.equal(reply.status, 200);
  return ((await reply.json()) as ShareList).shares;
}

export function use(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  return fetch(url, { method, headers });
}

/** The status and content of a request with a link, after the download is counted. */
export async function told(url: string, range?: string): Promise<string> {
  const reply = await use(url, range === undefined ? {} : { range: `bytes=${range}` });
  return `${reply.status} ${reply.status < 400 ? await reply.text() : ((await reply.json()) as { code: string }).code}`;
}

export const basic = (password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`:${password}`).toString('base64')}`,
});
