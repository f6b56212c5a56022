/** Requests of people, as sent by a program or by a page in a browser, and their cookies. */
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

/** Sends a request; the default method is POST with a body, otherwise GET. */
export function ask(origin: string, path: string, { method, body, headers = {} }: Ask = {}): Promise<Response> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  return fetch(`${origin}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...json, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    redirect: 'manual',
  });
}

/** The value of `Cookie` that a browser would send: the cookies of this reply that have not expired. */
export function cookiesOf(reply: Response): string {
  return reply.headers
    .getSetCookie()
    .filter((line) => !/; Max-Age=0(;|$)/.test(line))
    .map((line) => line.split(';')[0])
    .join('; ');
}

export interface Member {
  /** The body of the reply to the sign-in. */
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
