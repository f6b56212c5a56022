/** Principals: who a request acts for. */
import type { Role } from '../protocol/schemas/role.ts';
import type { Scope } from '../protocol/scopes.ts';

/** A machine with its own secret, a person, or a program with an API token of either. */
export type PrincipalKind = 'device' | 'person' | 'token';

/** A device or a person: a principal that can own files. */
export interface Subject {
  id: string;
  kind: 'device' | 'person';
}

/** The principal of a request. Every credential resolves to one. */
export interface Principal {
  /** Id of the device or the person; for an API token the id of its owner, whose files it works on. */
  readonly id: string;
  readonly tenant: string;
  readonly kind: PrincipalKind;
  readonly role: Role;
  readonly scopes: ReadonlySet<Scope>;
}

/** The creator of something that outlives the request, and the credential that it depends on. */
export interface Creator extends Subject {
  /** An API token, or a sign-in with reduced scopes. What was created with it ends with it. */
  through?: { kind: 'api-token' | 'sign-in'; id: string };
}
