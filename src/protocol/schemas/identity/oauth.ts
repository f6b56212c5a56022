/** OAuth 2.0 for clients on the wire: RFC 6749 (tokens), 7009 (revocation), 7662 (introspection). */
import Type, { type Static } from 'typebox';
import { PlainTime, Seconds, Text, Words } from '../parts.ts';
import { Role } from '../role.ts';

export const OAUTH_ERRORS = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unsupported_grant_type',
  'invalid_scope',
  'temporarily_unavailable',
  'server_error',
] as const;
export type OAuthErrorCode = (typeof OAUTH_ERRORS)[number];

export const OAuthRefusal = Type.Object(
  {
    error: Words(OAUTH_ERRORS, {
      description:
        'RFC 6749 §5.2. temporarily_unavailable: try again after Retry-After (429: too many failed sign-ins; 503: too busy).',
    }),
    error_description: Text('Message for people.'),
    message: Text('The same, for programs of older servers.'),
  },
  { title: 'OAuthRefusal', description: 'RFC 6749 §5.2.' },
);
export type OAuthRefusal = Static<typeof OAuthRefusal>;

/** A client authenticates with these or with HTTP Basic, never with both (RFC 6749 §2.3). */
const CREDENTIALS = {
  client_id: Type.Optional(Text("The client's id, unless it is in Authorization: Basic.")),
  client_secret: Type.Optional(Text("The client's secret, unless it is in Authorization: Basic.")),
};

export const GRANT_TYPES = ['client_credentials', 'refresh_token'] as const;

export const GrantRequest = Type.Object(
  {
    // Not an enumeration: an unknown grant type has an error of its own.
    grant_type: Type.Optional(Text(`${GRANT_TYPES.join(' or ')}.`)),
    refresh_token: Type.Optional(Text('For grant_type=refresh_token; works once, unless LADING_COMPAT has audio-ftp.')),
    scope: Type.Optional(
      Text('Scopes of the tokens, separated by spaces; read and write are short for those of files.'),
    ),
    ...CREDENTIALS,
  },
  // RFC 6749 §3.2: unknown parameters are ignored.
  {
    title: 'GrantRequest',
    description: 'Sent as application/x-www-form-urlencoded.',
    additionalProperties: true,
  },
);
export type GrantRequest = Static<typeof GrantRequest>;

export const GrantReply = Type.Object(
  {
    access_token: Text('Send it as Authorization: Bearer <token>.'),
    refresh_token: Text(
      'Returns the next tokens. It works once; using it again ends the session. With LADING_COMPAT=audio-ftp it stays the same.',
    ),
    token_type: Words(['bearer']),
    expires_in: Seconds('Seconds until the access token expires.'),
    refresh_expires_in: Seconds('Seconds until the refresh token expires.'),
    expires_at: PlainTime('When the access token expires.'),
    access_token_expires_at: PlainTime('The same as expires_at.'),
    refresh_token_expires_at: PlainTime('When the refresh token expires.'),
    scope: Type.Optional(Text('Scopes of the access token; absent: all that the client may do.')),
  },
  { title: 'GrantReply' },
);
export type GrantReply = Static<typeof GrantReply>;

/** A request for revocation or introspection. The hint is ignored, because the form of a token shows its type. */
export const TokenQuestion = Type.Object(
  {
    token: Type.Optional(Text('An access token, a refresh token or an API token. Required.')),
    token_type_hint: Type.Optional(Text('access_token or refresh_token; ignored.')),
    ...CREDENTIALS,
  },
  // RFC 7009 §2.1 and RFC 7662 §2.1 allow other parameters.
  {
    title: 'TokenQuestion',
    description: 'Sent as application/x-www-form-urlencoded.',
    additionalProperties: true,
  },
);
export type TokenQuestion = Static<typeof TokenQuestion>;

/** The reply to a revocation. RFC 7009 §2.2 defines no content; older programs read the message. */
export const Revoked = Type.Object({ message: Text('Message for people.') }, { title: 'Revoked' });
export type Revoked = Static<typeof Revoked>;

export const Introspection = Type.Object(
  {
    active: Type.Boolean({
      description: 'False, without other keys, for a token that is invalid or that you may not inspect.',
    }),
    scope: Type.Optional(Text('Scopes that it has now.')),
    client_id: Type.Optional(Text('Id of the client that it was issued to; absent for a person.')),
    username: Type.Optional(Text("The client's id, or the person's e-mail address.")),
    token_type: Type.Optional(Text('bearer, for access tokens and API tokens.')),
    exp: Type.Optional(Seconds('When it expires, since the epoch; absent: never.')),
    iat: Type.Optional(Seconds('When it was issued, since the epoch.')),
    sub: Type.Optional(Text('Id of the client or person.')),
    aud: Type.Optional(Text('Audience of an access token.')),
    iss: Type.Optional(Text('Issuer of an access token.')),
    jti: Type.Optional(Text('Id of an access token or an API token.')),
  },
  { title: 'Introspection', description: 'RFC 7662 §2.2.' },
);
export type Introspection = Static<typeof Introspection>;

export const Verified = Type.Object(
  {
    status: Words(['success']),
    message: Text('Message for people.'),
    client_id: Text('Id of the client or person that the token was issued to.'),
    names: Type.Array(Type.String(), {
      description: 'Name of the client, or e-mail address and account name of the person.',
    }),
    role: Role,
    tenant: Text('Id of the tenant.'),
    kind: Words(['device', 'person', 'token']),
    scopes: Type.Array(Type.String(), { description: 'Scopes of the token.' }),
    whole: Type.Boolean({ description: 'True if the token has all rights of the role, not only its scopes.' }),
  },
  { title: 'Verified' },
);
export type Verified = Static<typeof Verified>;

const List = (description: string) => Type.Array(Type.String(), { description });

export const AuthorizationServer = Type.Object(
  {
    issuer: Text('The issuer: this server.'),
    token_endpoint: Text('URL of the token endpoint.'),
    revocation_endpoint: Text('URL of the revocation endpoint (RFC 7009).'),
    introspection_endpoint: Text('URL of the introspection endpoint (RFC 7662).'),
    jwks_uri: Text('URL of the public keys that verify access tokens.'),
    scopes_supported: List('Scopes that tokens can have.'),
    response_types_supported: List('Empty: there is no authorization endpoint.'),
    grant_types_supported: List('Grant types of the token endpoint.'),
    token_endpoint_auth_methods_supported: List('How clients authenticate.'),
    revocation_endpoint_auth_methods_supported: List('How clients authenticate.'),
    introspection_endpoint_auth_methods_supported: List('How clients authenticate.'),
    service_documentation: Text('URL of the documentation.'),
  },
  { title: 'AuthorizationServer', description: 'RFC 8414 §2.' },
);
export type AuthorizationServer = Static<typeof AuthorizationServer>;

export const ProtectedResource = Type.Object(
  {
    resource: Text('The resource: this server.'),
    authorization_servers: List('Servers that issue tokens for it: itself.'),
    scopes_supported: List('Scopes that tokens can have.'),
    bearer_methods_supported: List('How requests may send tokens.'),
    resource_documentation: Text('URL of the documentation.'),
  },
  { title: 'ProtectedResource', description: 'RFC 9728 §2.' },
);
export type ProtectedResource = Static<typeof ProtectedResource>;

export const JwkSet = Type.Object(
  {
    keys: Type.Array(
      Type.Object({
        kty: Text('OKP or RSA.'),
        kid: Text('Id of the key, as in the header of the tokens that it verifies.'),
        alg: Words(['EdDSA', 'RS256']),
        use: Words(['sig']),
        crv: Type.Optional(Text('Ed25519, for an OKP key.')),
        x: Type.Optional(Text('Public key, for an OKP key.')),
        n: Type.Optional(Text('Modulus, for an RSA key.')),
        e: Type.Optional(Text('Exponent, for an RSA key.')),
      }),
    ),
  },
  { title: 'JwkSet', description: 'RFC 7517 §5.' },
);
export type JwkSet = Static<typeof JwkSet>;
