/** The access rules of all operations of the OpenAPI document. */
import type { Role } from '../../../src/protocol/schemas/role.ts';

export interface Caller {
  name: string;
  /** Absent for a caller without credentials. */
  role?: Role;
  person?: boolean;
  account?: 'ops' | 'client';
  /** Scopes of an API token whose owner is root, or all rights of root. */
  scope?: ScopeName;
  /** Signed in with reduced scopes. */
  narrowed?: boolean;
  /** Creates new credentials for every request, because some requests end them. */
  headers(): Record<string, string>;
}

/**
 * open        everyone, even without credentials
 * secret      callers with an id and secret or a special token; access tokens and API tokens are refused
 * signed-in   every authenticated caller
 * person      signed-in people
 * session     clients and people, not API tokens
 * whole       the same, with all scopes of their role or users:admin
 * ops-account, client-account
 *             people with an account of this kind, and their API tokens
 * tokens      clients and people for themselves; API tokens with tokens:admin
 * new-token   the same; callers with reduced scopes need tokens:admin
 * ops, admin, root
 *             callers with that role or a higher one; never API tokens
 * calls       callers with that scope, or with files:read and files:write
 * a scope     callers that have it by role or, for API tokens, by the token
 */
export type Rule =
  | 'open'
  | 'secret'
  | 'signed-in'
  | 'person'
  | 'session'
  | 'whole'
  | 'ops-account'
  | 'client-account'
  | 'tokens'
  | 'new-token'
  | 'ops'
  | 'admin'
  | 'root'
  | 'calls'
  | 'files:read'
  | 'files:write'
  | 'files:delete'
  | 'clients:admin'
  | 'tokens:admin'
  | 'users:admin';

export const SCOPES = [
  'files:read',
  'files:write',
  'files:delete',
  'clients:admin',
  'tokens:admin',
  'users:admin',
  'calls',
] as const;
export type ScopeName = (typeof SCOPES)[number];

export interface AccessRule {
  operation: string;
  rule: Rule;
  /** The JSON body. Without one the request has no body, and an admitted caller gets a different error than 403. */
  body?: (who: Caller) => object;
  form?: string;
  /** Query parameters. */
  query?: string;
  /** The request needs the header fields of tus. */
  tus?: boolean;
}

/** Path parameters name nothing that exists, so an admitted caller gets 404. */
export const ACCESS_RULES: AccessRule[] = [
  { operation: 'GET /health', rule: 'open' },
  { operation: 'GET /ready', rule: 'open' },
  { operation: 'GET /api/health', rule: 'open' },
  { operation: 'GET /api/config', rule: 'signed-in' },
  { operation: 'GET /metrics', rule: 'ops' },
  { operation: 'POST /auth/token', rule: 'open' },

  { operation: 'GET /.well-known/jwks.json', rule: 'open' },
  { operation: 'GET /.well-known/oauth-authorization-server', rule: 'open' },
  { operation: 'GET /.well-known/oauth-protected-resource', rule: 'open' },
  { operation: 'POST /api/oauth/token', rule: 'open' },
  { operation: 'POST /api/oauth/revoke', rule: 'secret', form: 'token=none' },
  { operation: 'POST /api/oauth/introspect', rule: 'secret', form: 'token=none' },
  { operation: 'GET /api/token/verify', rule: 'signed-in' },

  { operation: 'POST /v1/auth/registration', rule: 'open' },
  { operation: 'POST /v1/auth/login', rule: 'open' },
  { operation: 'POST /v1/auth/refresh', rule: 'secret' },
  { operation: 'POST /v1/auth/logout', rule: 'signed-in' },
  { operation: 'GET /v1/auth/me', rule: 'person' },
  { operation: 'PUT /v1/auth/me', rule: 'person', body: () => ({ name: 'Ada' }) },
  { operation: 'GET /v1/auth/sessions', rule: 'session' },
  { operation: 'DELETE /v1/auth/sessions', rule: 'whole' },
  { operation: 'DELETE /v1/auth/sessions/{session_id}', rule: 'whole' },
  { operation: 'GET /v1/auth/providers', rule: 'open' },
  { operation: 'GET /v1/auth/oidc/login', rule: 'open' },
  { operation: 'POST /v1/auth/oidc/login', rule: 'open' },
  { operation: 'GET /v1/auth/oidc/callback', rule: 'open' },
  { operation: 'GET /v1/auth/yandex/login', rule: 'open' },
  { operation: 'POST /v1/auth/yandex/login', rule: 'open' },
  { operation: 'GET /v1/auth/yandex/callback', rule: 'open' },

  { operation: 'POST /api/files/upload', rule: 'files:write', query: 'filename=none&total_size=5' },
  { operation: 'GET /api/files/status/{filename}', rule: 'files:read' },
  { operation: 'GET /api/files/download/{filename}', rule: 'files:read' },
  { operation: 'HEAD /api/files/download/{filename}', rule: 'files:read' },
  { operation: 'POST /api/files/complete/{filename}', rule: 'files:write' },
  { operation: 'POST /api/files/verify/{filename}', rule: 'files:read' },
  { operation: 'GET /api/files', rule: 'files:read' },
  { operation: 'DELETE /api/files/{filename}', rule: 'files:delete' },

  { operation: 'POST /files/', rule: 'files:write', tus: true },
  { operation: 'GET /files/{address}', rule: 'files:read' },
  { operation: 'HEAD /files/{address}', rule: 'files:write', tus: true },
  { operation: 'PATCH /files/{address}', rule: 'files:write', tus: true },
  { operation: 'DELETE /files/{address}', rule: 'files:write', tus: true },

  { operation: 'POST /api/uploads', rule: 'files:write' },
  { operation: 'GET /api/uploads/{address}', rule: 'files:write' },
  { operation: 'HEAD /api/uploads/{address}', rule: 'files:write' },
  { operation: 'PATCH /api/uploads/{address}', rule: 'files:write' },
  { operation: 'DELETE /api/uploads/{address}', rule: 'files:write' },

  { operation: 'GET /v1/audio/', rule: 'files:read' },
  { operation: 'POST /v1/audio/file', rule: 'files:write' },
  { operation: 'GET /v1/audio/file/{pk}', rule: 'files:read' },
  { operation: 'HEAD /v1/audio/file/{pk}', rule: 'files:read' },
  { operation: 'POST /api/upload', rule: 'files:write' },

  { operation: 'POST /ops/signup', rule: 'open' },
  { operation: 'POST /client/signup', rule: 'open' },
  { operation: 'POST /ops/login', rule: 'open' },
  { operation: 'POST /client/login', rule: 'open' },
  { operation: 'GET /logout', rule: 'session' },
  { operation: 'POST /ops/upload', rule: 'ops-account' },
  { operation: 'GET /client/files/{ops_username}', rule: 'client-account' },
  { operation: 'GET /client/files/{ops_username}/{filename}', rule: 'client-account' },
  { operation: 'HEAD /client/files/{ops_username}/{filename}', rule: 'client-account' },

  { operation: 'POST /api/files/share/{filename}', rule: 'files:read' },
  { operation: 'GET /api/shares', rule: 'files:read' },
  { operation: 'DELETE /api/shares/{share_id}', rule: 'files:read' },
  { operation: 'GET /api/grants', rule: 'files:read' },
  { operation: 'POST /api/grants', rule: 'files:read', body: () => ({ filename: 'none', grantee: 'none' }) },
  { operation: 'DELETE /api/grants/{grant_id}', rule: 'files:read' },
  { operation: 'POST /api/files/player/{filename}', rule: 'files:read' },
  { operation: 'DELETE /api/players/{player_id}', rule: 'files:read' },
  { operation: 'GET /api/players/{player_id}', rule: 'open' },
  { operation: 'HEAD /api/players/{player_id}', rule: 'open' },
  { operation: 'GET /s/{token}', rule: 'open' },
  { operation: 'HEAD /s/{token}', rule: 'open' },

  { operation: 'GET /api/protected', rule: 'signed-in' },
  { operation: 'GET /api/tokens', rule: 'tokens' },
  { operation: 'POST /api/tokens', rule: 'new-token', body: ({ scope }) => ({ scopes: [scope ?? 'files:read'] }) },
  { operation: 'DELETE /api/tokens/{token_id}', rule: 'tokens' },
  { operation: 'POST /api/tokens/{token_id}/rotate', rule: 'tokens' },

  { operation: 'GET /api/clients', rule: 'clients:admin' },
  { operation: 'POST /api/clients', rule: 'clients:admin' },
  { operation: 'PUT /api/clients/{client_id}', rule: 'clients:admin', body: () => ({ name: 'none' }) },
  { operation: 'DELETE /api/clients/{client_id}', rule: 'clients:admin' },

  { operation: 'GET /v1/user', rule: 'users:admin' },
  { operation: 'POST /v1/user', rule: 'users:admin' },
  { operation: 'POST /v1/user/get_user', rule: 'users:admin' },
  { operation: 'PUT /v1/user/update_user', rule: 'users:admin', query: 'pk=none' },
  { operation: 'DELETE /v1/user/delete_user', rule: 'users:admin', query: 'pk=none' },

  { operation: 'GET /api/quotas/me', rule: 'signed-in' },
  { operation: 'GET /api/quotas/{kind}/{id}', rule: 'admin' },
  { operation: 'PUT /api/quotas/{kind}/{id}', rule: 'admin' },
  { operation: 'POST /api/sweep', rule: 'admin' },
  { operation: 'GET /api/audit', rule: 'admin' },

  { operation: 'GET /api/events', rule: 'files:read', query: 'types=none' },
  { operation: 'GET /api/transfers', rule: 'files:read' },
  { operation: 'GET /api/history', rule: 'ops' },
  { operation: 'GET /api/deliveries', rule: 'admin' },
  { operation: 'POST /api/deliveries/{id}/retry', rule: 'admin' },
  { operation: 'GET /api/deliveries/targets', rule: 'admin' },
  { operation: 'POST /api/deliveries/targets', rule: 'admin' },
  { operation: 'DELETE /api/deliveries/targets/{target_id}', rule: 'admin' },
  { operation: 'PATCH /api/deliveries/targets/{target_id}', rule: 'admin' },

  { operation: 'POST /calls/otp', rule: 'calls', body: () => ({ phone: 'none' }) },
  { operation: 'POST /calls/verify', rule: 'calls', body: () => ({ phone: 'none', code: '0' }) },
  { operation: 'POST /calls/otp/verify', rule: 'calls', body: () => ({ phone: 'none', code: '0' }) },
  { operation: 'POST /calls/replay', rule: 'calls', body: () => ({ phone: 'none' }) },
  { operation: 'POST /calls/otp/replay', rule: 'calls', body: () => ({ phone: 'none' }) },
  { operation: 'GET /calls/otp/status/{phone}', rule: 'calls' },
  { operation: 'POST /calls/provider/{session_id}', rule: 'secret', form: 'CallStatus=completed' },
  { operation: 'GET /api/phones/{kind}/{id}', rule: 'admin' },
  { operation: 'PUT /api/phones/{kind}/{id}', rule: 'admin', body: () => ({ phone: null }) },

  { operation: 'GET /api/tenants', rule: 'root' },
  { operation: 'POST /api/tenants', rule: 'root' },
  { operation: 'DELETE /api/tenants/{tenant_id}', rule: 'root' },

  // Last, because they create the file that the others must not find.
  { operation: 'PUT /api/files/content/{filename}', rule: 'files:write' },
  { operation: 'POST /api/files/content/{filename}', rule: 'files:write' },
];
