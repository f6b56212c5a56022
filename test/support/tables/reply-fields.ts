/** A request for each operation of the OpenAPI document, to check which fields its reply shows. */
import { anna, PASSWORD } from '../product/people.ts';
import type { Account, TestServer } from '../product/server.ts';

/** Two targets, whose hosts cannot be resolved. */
export const TARGETS = {
  hook: { kind: 'webhook', url: 'https://hook-host.invalid/hook-path', secret: 'secret-of-the-hook-of-this-test' },
  ftp: {
    kind: 'ftp',
    name: 'archive',
    host: 'ftp-host.invalid',
    username: 'ftp-user',
    password: 'ftp-password',
    directory: 'ftp-directory',
    pattern: 'ftp-pattern_{name}',
    rule: { prefix: '', type: null },
  },
};
export const OF_TARGETS = /hook-host|hook-path|ftp-(?:host|user|password|directory|pattern)|secret-of-the-hook/;
export const SETTINGS = {
  LADING_REGISTRATION: 'open',
  LADING_DELIVERY_ATTEMPTS: '1',
  LADING_JWT_SECRET: 'the-signing-secret-of-this-test-is-long-enough',
  DASHBOARD_PASSWORD: 'the-password-of-the-token-page',
};

export interface World {
  server: TestServer;
  mine: Account;
  /** Ids that only administrators may see, and the exceptions. */
  ids: string[];
  secrets: string[];
  /** Ids of targets and deliveries. */
  targets: string[];
  /** Ids of other resources by path parameter. */
  others: Record<string, string>;
}

export interface Row {
  /** The owner in the path; by default the caller. */
  params?: Record<string, string>;
  query?: string;
  json?: (world: World) => object;
  form?: Record<string, string>;
  /** Reads an event stream until this matches. */
  until?: RegExp;
  headers?: Record<string, string>;
}

const CALL = { json: () => ({ phone: '+14155550123', code: '123456' }) };
const UPLOAD = { 'tus-resumable': '1.0.0' };

export const ROWS: Record<string, Row> = {
  'GET /health': {},
  'GET /api/health': {},
  'GET /ready': {},
  'GET /.well-known/oauth-authorization-server': {},
  'GET /.well-known/oauth-protected-resource': {},
  'GET /.well-known/jwks.json': {},
  'GET /metrics': {},
  'POST /api/files/player/{filename}': {},
  'DELETE /api/players/{player_id}': {},
  'GET /api/players/{player_id}': {},
  'HEAD /api/players/{player_id}': {},
  'GET /s/{token}': {},
  'HEAD /s/{token}': {},
  'POST /auth/token': { form: { username: 'nobody', password: 'wrong' } },
  'POST /api/oauth/token': { form: { grant_type: 'client_credentials' } },
  'POST /api/oauth/revoke': { form: { token: 'none' } },
  'POST /api/oauth/introspect': { form: { token: 'none' } },
  'POST /calls/provider/{session_id}': { form: { CallStatus: 'completed' } },
  'POST /v1/auth/registration': { json: () => ({ ...anna, email: 'again@x.example' }) },
  'POST /v1/auth/refresh': { json: () => ({}) },
  'POST /v1/auth/logout': { json: () => ({}), headers: { authorization: '' } },
  'POST /v1/auth/login': { json: () => ({ email: anna.email, password: 'a wrong password' }) },
  'GET /v1/auth/providers': {},
  'GET /v1/auth/oidc/login': {},
  'POST /v1/auth/oidc/login': {},
  'GET /v1/auth/oidc/callback': {},
  'GET /v1/auth/yandex/login': {},
  'POST /v1/auth/yandex/login': {},
  'GET /v1/auth/yandex/callback': {},
  'POST /ops/signup': { json: () => ({ username: 'taken-name', password: PASSWORD }) },
  'POST /ops/login': { json: () => ({ username: 'taken-name', password: 'wrong' }) },
  'POST /client/signup': { json: () => ({ username: 'taken-name', password: PASSWORD }) },
  'POST /client/login': { json: () => ({ username: 'taken-name', password: 'wrong' }) },
  'POST /files/': { headers: { ...UPLOAD, 'upload-length': '5', 'upload-metadata': 'filename dHVz' } },
  'HEAD /files/{address}': { headers: UPLOAD },
  'PATCH /files/{address}': { headers: UPLOAD },
  'DELETE /files/{address}': { headers: UPLOAD },
  'GET /files/{address}': {},
  'PUT /api/files/content/{filename}': { params: { filename: 'new' } },
  'POST /api/files/content/{filename}': { params: { filename: 'new' } },
  'POST /api/uploads': {},
  'HEAD /api/uploads/{address}': {},
  'GET /api/uploads/{address}': {},
  'PATCH /api/uploads/{address}': {},
  'DELETE /api/uploads/{address}': {},
  'GET /api/files/status/{filename}': {},
  'GET /api/files/download/{filename}': {},
  'HEAD /api/files/download/{filename}': {},
  'GET /api/files': {},
  'DELETE /api/files/{filename}': { params: { filename: 'not-there' } },
  'POST /api/files/complete/{filename}': {},
  'POST /api/files/verify/{filename}': {},
  'POST /api/files/upload': { query: 'filename=empty&total_size=0' },
  'GET /api/clients': {},
  'POST /api/clients': { json: () => ({ role: 'client' }) },
  'PUT /api/clients/{client_id}': { json: () => ({ name: 'none' }) },
  'DELETE /api/clients/{client_id}': {},
  'POST /api/sweep': {},
  'GET /api/tenants': {},
  'POST /api/tenants': { json: () => ({ tenant_id: 'other', name: 'Other' }) },
  'DELETE /api/tenants/{tenant_id}': {},
  'GET /v1/auth/me': {},
  'PUT /v1/auth/me': { json: () => ({ name: 'Ada' }) },
  'GET /v1/user': {},
  'POST /v1/user': { json: () => ({ ...anna, email: 'more@x.example' }) },
  'POST /v1/user/get_user': { json: () => ({ email: anna.email }) },
  'PUT /v1/user/update_user': { query: 'pk=none', json: () => ({ name: 'Ada' }) },
  'DELETE /v1/user/delete_user': { query: 'pk=none' },
  'GET /api/token/verify': {},
  'GET /api/config': {},
  'GET /api/audit': {},
  'GET /api/quotas/me': {},
  'GET /api/quotas/{kind}/{id}': { params: { kind: 'client' } },
  'PUT /api/quotas/{kind}/{id}': { params: { kind: 'client' }, json: () => ({ bytes: 1 }) },
  'GET /v1/audio/': {},
  'GET /v1/audio/file/{pk}': {},
  'HEAD /v1/audio/file/{pk}': {},
  'POST /v1/audio/file': {},
  'POST /api/upload': {},
  'GET /logout': { headers: { authorization: '' } },
  'POST /ops/upload': {},
  'GET /client/files/{ops_username}': { params: { ops_username: 'taken-name' } },
  'GET /client/files/{ops_username}/{filename}': { params: { ops_username: 'taken-name' } },
  'HEAD /client/files/{ops_username}/{filename}': { params: { ops_username: 'taken-name' } },
  'GET /v1/auth/sessions': {},
  'DELETE /v1/auth/sessions': { headers: { authorization: '' } },
  'DELETE /v1/auth/sessions/{session_id}': {},
  'POST /api/files/share/{filename}': { json: () => ({}) },
  'GET /api/shares': {},
  'DELETE /api/shares/{share_id}': {},
  'GET /api/grants': {},
  'POST /api/grants': { json: () => ({ prefix: 'x', grantee: 'nobody' }) },
  'DELETE /api/grants/{grant_id}': {},
  'GET /api/deliveries/targets': {},
  'POST /api/deliveries/targets': { json: () => TARGETS.hook },
  'DELETE /api/deliveries/targets/{target_id}': {},
  'PATCH /api/deliveries/targets/{target_id}': { json: () => ({ disabled: false }) },
  'GET /api/deliveries': {},
  'POST /api/deliveries/{id}/retry': {},
  'POST /calls/otp': CALL,
  'POST /calls/verify': CALL,
  'POST /calls/otp/verify': CALL,
  'POST /calls/replay': CALL,
  'POST /calls/otp/replay': CALL,
  'GET /calls/otp/status/{phone}': { params: { phone: '+14155550123' } },
  'GET /api/phones/{kind}/{id}': { params: { kind: 'client' } },
  'PUT /api/phones/{kind}/{id}': { params: { kind: 'client' }, json: () => ({ phone: null }) },
  'GET /api/events': { headers: { 'last-event-id': 'before-0' }, until: /chunk\.received|delivery\.failed/ },
  'GET /api/transfers': {},
  'GET /api/history': {},
  'GET /api/protected': {},
  'GET /api/tokens': {},
  'POST /api/tokens': { json: () => ({}) },
  'POST /api/tokens/{token_id}/rotate': {},
  'DELETE /api/tokens/{token_id}': {},
};
