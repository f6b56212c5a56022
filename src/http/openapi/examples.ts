/**
 * Builds an example for every body that has a schema, from the examples of its properties. The first of these that exists is used: the
 * schema's own `examples`, `const`, `enum` or `default`; an entry in the tables below; any value of the type.
 */
import { isObject, type Json } from './json.ts';

/** Examples by the name of a property. */
const BY_NAME: Readonly<Record<string, unknown>> = {
  access_token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW1lcmEtNyJ9.c2lnbmF0dXJl',
  account_kind: 'ops',
  action: 'client.update',
  address: '192.0.2.7',
  aud: 'https://files.example.com',
  authorization_servers: 'https://files.example.com',
  authorization_url: 'https://id.example.com/authorize?client_id=lading&state=k3Xq',
  bearer_methods_supported: 'header',
  bytes: 1048576,
  bytes_received: 1048576,
  ca: '/etc/lading/ftp-ca.pem',
  channels: 2,
  checked_bytes: 1048576,
  chunk_ms: 1.8,
  chunks: 16,
  client_id: 'camera-7',
  client_secret: 'Zb3pWn0yqkV8tq2kqH4T1w',
  code: '123456',
  codec: 'PCM',
  content_type: 'audio/wav',
  count: 42,
  crc32: '3610a686',
  created_by: 'admin',
  crv: 'Ed25519',
  day_bytes: 1073741824,
  detail: 'role: client → ops',
  directory: '/incoming',
  duration_seconds: 12.5,
  e: 'AQAB',
  email: 'person@example.com',
  end: 1048575,
  error_description: 'The client secret is wrong.',
  etag: '"f1-1048576-3610a686"',
  exp: 1793368800,
  expires_in: 3600,
  file_description: 'Morning recording',
  file_name: 'day.wav',
  file_size: 1048576,
  filename: 'recordings/day.wav',
  grant_id: 'g1',
  grant_type: 'client_credentials',
  grant_types_supported: 'client_credentials',
  grantee: 'person-3',
  host: 'ftp.example.com',
  iat: 1793365200,
  id: 'f1',
  instance: 'urn:request:k3Xq-1f',
  introspection_endpoint: 'https://files.example.com/api/oauth/introspect',
  iss: 'https://files.example.com',
  issuer: 'https://files.example.com',
  jti: 't1',
  jwks_uri: 'https://files.example.com/.well-known/jwks.json',
  kid: 'k1',
  kind: 'device',
  kty: 'OKP',
  last_error: 'The server answered 550.',
  local_path: 'recordings/day.wav',
  login_url: '/v1/auth/oidc/login',
  max_downloads: 10,
  message: 'Done',
  n: 'u1W3uTfFqnXv0bQw',
  name: 'Camera 7',
  next_cursor: 'YzE',
  next_expected_byte: 1048576,
  old_password: 'correct horse battery staple',
  original_name: 'day.wav',
  otp: '123456',
  owner: 'camera-7',
  owner_id: 'camera-7',
  owner_name: 'Camera 7',
  password: 'correct horse battery staple',
  password2: 'correct horse battery staple',
  pattern: '{date}_{time}_{client_id}_{name}',
  phone: '+14155550123',
  phone_number: '+14155550123',
  player_id: 'p1',
  port: 21,
  prefix: 'recordings/',
  principal: 'camera-7',
  reason: 'The server answered 410.',
  refresh_expires_in: 2592000,
  refresh_token: 'rt_5yq0n1Zl3u',
  request_id: 'k3Xq-1f',
  requests: 600,
  resource: 'https://files.example.com',
  resource_documentation: 'https://files.example.com/docs',
  response_types_supported: 'code',
  retry_after: 5,
  revocation_endpoint: 'https://files.example.com/api/oauth/revoke',
  sample_rate: 48000,
  scope: 'files:read files:write',
  scopes: 'files:read',
  scopes_supported: 'files:read',
  second_factor_until: '2026-11-02T08:30:00.000Z',
  seconds: 60,
  secret: 'whsec_4l0pQ7',
  service_documentation: 'https://files.example.com/docs',
  session_id: 's1',
  share_id: 'l1',
  start: 0,
  status: 'success',
  sub: 'camera-7',
  surname: 'Example',
  target: 'archive',
  target_id: 'd1',
  tenant: 'main',
  tenant_id: 'main',
  token: 'lad_3vN8q2kqH4T1w',
  token_endpoint: 'https://files.example.com/api/oauth/token',
  token_id: 't1',
  token_type: 'bearer',
  token_type_hint: 'refresh_token',
  total_bytes: 4194304,
  tries_left: 2,
  type: 'audio/wav',
  uploaded_by: 'camera-7',
  url: 'https://hooks.example.com/lading',
  user_agent: 'lading/0.1.0',
  user_id: 'my_app',
  username: 'camera-7',
  version: '0.1.0',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
};

/** Whole bodies by the title of their schema, where examples of single properties would be inconsistent. */
const BY_TITLE: Readonly<Record<string, Json>> = {
  NewGrant: { filename: 'recordings/day.wav', grantee: 'person-3', expires_in: 604800 },
  NewDeliveryTarget: {
    kind: 'webhook',
    name: 'archive',
    url: 'https://hooks.example.com/lading',
    events: ['file.completed'],
  },
  NewPerson: {
    name: 'First',
    surname: 'Last',
    email: 'person@example.com',
    password: 'correct horse battery staple',
    password2: 'correct horse battery staple',
    role: 'client',
  },
  PersonChange: { role: 'ops', name: 'First' },
  OwnChange: { name: 'First', surname: 'Last' },
};

const DATE = '2026-11-02T08:30:00.000Z';

/** Schemas may refer to one another. No schema of this server is nested deeper. */
const MAX_DEPTH = 12;

/**
 * Returns a value that matches a schema.
 * @param schemas what `#/components/schemas/…` refers to
 * @param name of the property; empty for a whole body
 */
export function exampleOf(schema: unknown, schemas: Json, name = '', depth = 0): unknown {
  if (!isObject(schema) || depth > MAX_DEPTH) return null;
  if (typeof schema.$ref === 'string') {
    return exampleOf(schemas[schema.$ref.split('/').at(-1) ?? ''], schemas, name, depth + 1);
  }
  if (typeof schema.title === 'string' && schema.title in BY_TITLE) return BY_TITLE[schema.title];
  if (Array.isArray(schema.examples)) return schema.examples[0];
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const variants = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(variants)) {
    const variant = variants.find((one) => isObject(one) && one.type !== 'null') ?? variants[0];
    return exampleOf(variant, schemas, name, depth + 1);
  }
  if (Array.isArray(schema.allOf)) {
    return Object.assign({}, ...schema.allOf.map((one) => exampleOf(one, schemas, name, depth + 1)));
  }
  return byType(schema, schemas, name, depth);
}

function byType(schema: Json, schemas: Json, name: string, depth: number): unknown {
  const types = [schema.type].flat().filter((type) => type !== 'null');
  const known = BY_NAME[name];
  if (types.includes('object')) {
    const properties = Object.entries(isObject(schema.properties) ? schema.properties : {});
    const entries = properties.map(([key, value]) => [key, exampleOf(value, schemas, key, depth + 1)]);
    return Object.fromEntries(entries);
  }
  if (types.includes('array')) return items(schema, schemas, name, depth);
  if (types.includes('integer') || types.includes('number')) {
    return typeof known === 'number' ? known : (schema.default ?? schema.minimum ?? 1);
  }
  if (types.includes('boolean')) return schema.default ?? true;
  if (types.includes('string')) return text(schema, name);
  return null;
}

function items(schema: Json, schemas: Json, name: string, depth: number): unknown[] {
  const fixed = schema.prefixItems ?? schema.items;
  if (Array.isArray(fixed)) return fixed.map((item) => exampleOf(item, schemas, '', depth + 1));
  const count = typeof schema.minItems === 'number' ? Math.max(schema.minItems, 1) : 1;
  // `filenames` is a list of `filename`.
  const item = exampleOf(schema.items, schemas, name in BY_NAME ? name : name.replace(/s$/, ''), depth + 1);
  return Array.from({ length: count }, () => item);
}

function text(schema: Json, name: string): string {
  const known = BY_NAME[name];
  if (Array.isArray(schema.examples)) return schema.examples[0];
  if (schema.format === 'date-time' || name.endsWith('_at')) return DATE;
  if (schema.format === 'binary') return '(bytes)';
  if (typeof schema.default === 'string') return schema.default;
  return typeof known === 'string' ? known : name || 'text';
}

/** Media types of file contents, which need no example. */
const OPAQUE = /octet-stream|lading\.chunks|^\*\/\*$|byteranges|event-stream/;

/** Adds an example to every body that has none, in place. Returns the node. */
export function withExamples<Node>(node: Node, schemas: Json): Node {
  if (Array.isArray(node)) {
    for (const item of node) withExamples(item, schemas);
  } else if (isObject(node)) {
    for (const [key, value] of Object.entries(node)) {
      if (key === 'content' && isObject(value)) addExamples(value, schemas);
      else withExamples(value, schemas);
    }
  }
  return node;
}

function addExamples(content: Json, schemas: Json): void {
  for (const [type, media] of Object.entries(content)) {
    if (OPAQUE.test(type) || !isObject(media) || !('schema' in media)) continue;
    if (!('example' in media) && !('examples' in media)) media.example = exampleOf(media.schema, schemas);
  }
}
