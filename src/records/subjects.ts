/** Documents of those who can sign in, and of tenants, as they are stored. */
import type { Role } from '../protocol/schemas/role.ts';
import type { QuotaLimits } from './quota.ts';

/** A machine that may sign in. */
export interface DeviceDocument {
  clientId: string;
  tenant: string;
  role: Role;
  name: string | null;
  /** A salted hash that names its own parameters; never leaves `identity`. */
  secretHash: string;
  createdAt: number;
  lastUsed: number | null;
  /** Of documents without a generation: access tokens issued before are refused, the secret was another one then. */
  notBefore: number | null;
  /** Changes with the secret and whatever else ends sessions. Access tokens of another one are refused, whatever the date was. */
  generation?: string;
  /** It may do nothing until it is enabled again; nothing of it is forgotten. */
  disabled?: true;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
  /** Number of the second factor, in E.164. */
  phone?: string;
}

/** An account at an outside provider that signs a person in. */
export interface FederatedAccount {
  /** Issuer of an OpenID provider, or the provider's name. */
  issuer: string;
  subject: string;
}

/** Those who offer files to others, and those who fetch them. */
export type AccountKind = 'ops' | 'client';

/** How a person signs in by a name instead of an e-mail address. */
export interface NamedAccount {
  kind: AccountKind;
  /** As it was chosen; unique within its kind and tenant, without regard to case. */
  username: string;
  /** Where to write to. Nobody signs in with it, for nobody has shown that it is theirs. */
  contact: string | null;
}

/** A person who may sign in. */
export interface PersonDocument {
  id: string;
  tenant: string;
  role: Role;
  /** To sign in with. In lower case; unique in a tenant. Null: signs in by `account`. */
  email: string | null;
  name: string;
  surname: string;
  /** Null: signs in through an outside provider only. */
  passwordHash: string | null;
  outside: FederatedAccount[];
  /** Absent: signs in by `email`. */
  account?: NamedAccount;
  /** They may do nothing until they are enabled again; nothing of them is forgotten. */
  disabled?: true;
  createdAt: number;
  lastUsed: number | null;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
  /** Number of the second factor, in E.164. */
  phone?: string;
}

/** Those who share nothing with the others: files, names, listings, people and clients of their own. */
export interface TenantDocument {
  id: string;
  name: string;
  createdAt: number;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
}
