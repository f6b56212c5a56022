/** People as they meet the server: requests as a program or as a page of some origin in a browser, and the cookies that it keeps. */
import assert from 'node:assert/strict';
import type { Person, SignedIn } from '../../../src/protocol/schemas/identity/people.ts';

export const PASSWORD = 'violet kettle under nine bridges';
export const NEW_PASSWORD = 'ten amber lanterns by the quay';

export const anna = {
  name: 'Anna',
  surname: 'Smith',
  email: 'anna@x.example',
  password: PASSWORD,
  password2: PASSWORD,
};

export interface Ask {
  method?: string;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** Sends a request, POST by default when there is a body. */
export function ask(origin: string, path: string, { method, body, headers = {} }: Ask = {}): Promise<Response> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  return fetch(`${origin}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...json, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    redirect: 'manual',
  });
}

/** What a browser would send along: the pairs that were set and have not run out. */
export function cookiesOf(reply: Response): string {
  return reply.headers
    .getSetCookie()
    .filter((line) => !/; Max-Age=0(;|$)/.test(line))
    .map((line) => line.split(';')[0])
    .join('; ');
}

export interface Member {
  /** What the reply to the sign-in said. */
  signedIn: SignedIn;
  person: Person;
  /** `{ authorization: 'Bearer …' }` */
  headers: { authorization: string };
  cookie: string;
}

async function memberOf(reply: Response, status: number): Promise<Member> {
  assert.equal(reply.status, status, await reply.clone().text());
  const signedIn = (await reply.json()) as SignedIn;
  const headers = { authorization: `Bearer ${signedIn.access_token}` };
  return { signedIn, person: signedIn.user, headers, cookie: cookiesOf(reply) };
}

export async function register(origin: string, changes: Partial<typeof anna> = {}): Promise<Member> {
  return memberOf(await ask(origin, '/v1/auth/registration', { body: { ...anna, ...changes } }), 201);
}

export async function login(origin: string, email = anna.email, password = PASSWORD, tenant?: string): Promise<Member> {
  return memberOf(await ask(origin, '/v1/auth/login', { body: { email, password, tenant } }), 200);
}
