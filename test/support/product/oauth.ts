/** Requests of a client to the OAuth routes. */
import assert from 'node:assert/strict';
import type { GrantReply, OAuthErrorCode } from '../../../src/protocol/schemas/identity/oauth.ts';

export type Fields = Readonly<Record<string, string>>;

export interface Credentials {
  id: string;
  secret: string;
}

/** HTTP Basic credentials (RFC 6749 §2.3.1). */
export function basic({ id, secret }: Credentials): { authorization: string } {
  const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

export function form(origin: string, path: string, fields: Fields, headers: Fields = {}): Promise<Response> {
  return fetch(`${origin}${path}`, { method: 'POST', headers, body: new URLSearchParams(fields) });
}

/** Requests tokens with HTTP Basic credentials. */
export function grant(origin: string, client: Credentials, fields: Fields): Promise<Response> {
  return form(origin, '/api/oauth/token', fields, basic(client));
}

export async function granted(reply: Response): Promise<GrantReply> {
  const body = await reply.text();
  assert.equal(reply.status, 200, body);
  return JSON.parse(body) as GrantReply;
}

/** Whether an access token is valid. */
export async function isTokenValid(origin: string, token: string): Promise<boolean> {
  const reply = await fetch(`${origin}/api/files`, { headers: { authorization: `Bearer ${token}` } });
  await reply.arrayBuffer();
  assert.ok(reply.status === 200 || reply.status === 401, String(reply.status));
  return reply.status === 200;
}

/** Checks that a reply is an error of RFC 6749 §5.2 with a `message`; returns the description. */
export async function refused(reply: Response, status: number, error: OAuthErrorCode): Promise<string> {
  const text = await reply.text();
  assert.equal(reply.status, status, text);
  assert.match(reply.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  assert.equal(reply.headers.get('pragma'), 'no-cache');
  assert.equal(reply.headers.has('www-authenticate'), status === 401, text);
  const { error_description: description, message, ...rest } = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(rest, { error });
  assert.ok(typeof description === 'string' && description.length > 5, text);
  assert.ok(typeof message === 'string' && message.length === description.length, text);
  // The RFC allows only these characters.
  assert.match(description, /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  assert.doesNotMatch(description, /FST_|Error:|body\//);
  return description;
}
