/** Principals: who a request acts for. */
import type { Role } from '../protocol/schemas/role.ts';
import type { Scope } from '../protocol/scopes.ts';

/** What sort of being asks: a machine with a secret of its own, a person, or a program with an API token of either. */
export type PrincipalKind = 'device' | 'person' | 'token';

/** Somebody who can own things: a client or a person. */
export interface Subject {
  id: string;
  kind: 'device' | 'person';
}

/** Who asks. Every way of signing in ends in one of these. */
export interface Principal {
  /** Of the client or the person; of an API token that of its owner, whose files it works on. */
  readonly id: string;
  readonly tenant: string;
  readonly kind: PrincipalKind;
  readonly role: Role;
  readonly scopes: ReadonlySet<Scope>;
}

/** Who made something that outlives the request, and on what that rests besides their own right. */
export interface Creator extends Subject {
  /** An API token or a sign-in for less than its subject may; what was made with it ends with it. */
  through?: { kind: 'api-token' | 'sign-in'; id: string };
}
