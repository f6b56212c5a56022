/** Documents of devices, people and tenants, as they are stored. */
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
  /** In documents without a generation: access tokens issued before this time are refused, because the secret changed. */
  notBefore: number | null;
  /** Changes with the secret and whenever sessions are ended. Access tokens of another generation are refused. */
  generation?: string;
  /** The device has no access until it is enabled again. Its data is kept. */
  disabled?: true;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
  /** Number of the second factor, in E.164. */
  phone?: string;
}

/** A person's account at an external sign-in provider. */
export interface FederatedAccount {
  /** Issuer of an OpenID provider, or the provider's name. */
  issuer: string;
  subject: string;
}

/** Accounts that offer files (`ops`) and accounts that fetch them (`client`). */
export type AccountKind = 'ops' | 'client';

/** How a person signs in by a name instead of an e-mail address. */
export interface NamedAccount {
  kind: AccountKind;
  /** As chosen; unique within its kind and tenant, case-insensitive. */
  username: string;
  /** Contact address. It is not verified, so it cannot be used to sign in. */
  contact: string | null;
}

/** A person who may sign in. */
export interface PersonDocument {
  id: string;
  tenant: string;
  role: Role;
  /** The address for signing in, in lower case and unique in a tenant. Null: signs in by `account`. */
  email: string | null;
  name: string;
  surname: string;
  /** Null: signs in through an external provider only. */
  passwordHash: string | null;
  outside: FederatedAccount[];
  /** Absent: signs in by `email`. */
  account?: NamedAccount;
  /** The person has no access until enabled again. Their data is kept. */
  disabled?: true;
  createdAt: number;
  lastUsed: number | null;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
  /** Number of the second factor, in E.164. */
  phone?: string;
}

/** A group of principals that shares nothing with other tenants: files, names, lists, people and devices are its own. */
export interface TenantDocument {
  id: string;
  name: string;
  createdAt: number;
  /** Absent: the server's own limits. */
  quota?: QuotaLimits;
}
