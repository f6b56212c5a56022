/** API tokens on the wire: /api/tokens. */
import Type, { type Static } from 'typebox';
import { MAX_SECONDS } from '../../bounds.ts';
import { Nullable, Text, Time } from '../parts.ts';

/** Longest label, in characters. */
export const MAX_LABEL = 128;

export const NewApiToken = Type.Object(
  {
    user_id: Type.Optional(
      Nullable(
        Type.String({
          minLength: 1,
          maxLength: MAX_LABEL,
          description:
            'Id of the client or person that the token acts for. Any other text is a label: the token acts for you and is listed by its label. ' +
            'default_user by default.',
        }),
      ),
    ),
    scopes: Type.Optional(
      Nullable(
        Type.Array(Type.String({ maxLength: 64 }), {
          minItems: 1,
          maxItems: 20,
          description: 'Scopes; read and write are short for those of files and the default.',
        }),
      ),
    ),
    expires_in: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: MAX_SECONDS.token,
          description: 'Seconds until it expires; by default it does not expire.',
        }),
      ),
    ),
    name: Type.Optional(Nullable(Type.String({ minLength: 1, maxLength: 200, description: 'Display name.' }))),
  },
  { title: 'NewApiToken' },
);
export type NewApiToken = Static<typeof NewApiToken>;

const Scopes = Type.Array(Type.String(), { description: 'Scopes, as they were requested.' });
const UserId = Text('Id of the client or person that the token acts for, or its label.');
const OwnerId = Text('Id of the client or person that the token acts for.');

export const ApiTokenCreated = Type.Object(
  {
    token_id: Text('Id of the token, to rotate or revoke it.'),
    token: Text('The token, shown only once. Send it as Authorization: Bearer <token>.'),
    created_at: Time('When it was created.'),
    scopes: Scopes,
    user_id: UserId,
    owner_id: OwnerId,
    name: Nullable(Text('Display name.')),
    expires_at: Nullable(Time('When it expires; null: never.')),
  },
  { title: 'ApiTokenCreated' },
);
export type ApiTokenCreated = Static<typeof ApiTokenCreated>;

export const ApiToken = Type.Object(
  {
    token_id: Text('Id of the token, to rotate or revoke it.'),
    created_at: Time('When it was created.'),
    last_used: Nullable(Time('When it was last used.')),
    scopes: Scopes,
    uses: Type.Integer({ minimum: 0, description: 'Number of requests that used it.' }),
    uses_by_day: Type.Array(Type.Integer({ minimum: 0 }), {
      description: 'Requests per day for the last 30 days (UTC), today last.',
    }),
    user_id: UserId,
    owner_id: OwnerId,
    name: Nullable(Text('Display name.')),
    expires_at: Nullable(Time('When it expires; null: never.')),
    active: Type.Boolean({ description: 'False once it is revoked.' }),
    revoked_at: Nullable(Time('When it was revoked.')),
  },
  { title: 'ApiToken' },
);
export type ApiToken = Static<typeof ApiToken>;

export const ApiTokenList = Type.Object(
  { tokens: Type.Array(ApiToken), count: Type.Integer({ minimum: 0 }) },
  { title: 'ApiTokenList' },
);
export type ApiTokenList = Static<typeof ApiTokenList>;

export const ApiTokenQuery = Type.Object(
  {
    user_id: Type.Optional(
      Text(
        'Only tokens of this client or person, or with this label; by default all that you may manage; with tokens:admin, all of the tenant.',
      ),
    ),
    revoked: Type.Optional(
      Type.Boolean({ description: 'True: include tokens that were revoked in the last 30 days.' }),
    ),
  },
  { title: 'ApiTokenQuery' },
);
export type ApiTokenQuery = Static<typeof ApiTokenQuery>;

export const Protected = Type.Object(
  { message: Text('Message for people.'), user_id: UserId, scopes: Scopes },
  { title: 'Protected', description: 'The principal and its scopes.' },
);
export type Protected = Static<typeof Protected>;
