/** What travels at /api/tokens. */
import Type, { type Static } from 'typebox';
import { LONGEST_SECONDS } from './bounds.ts';
import { Nullable, Text, Time } from './schema-parts.ts';

export const NewApiToken = Type.Object(
  {
    user_id: Type.Optional(
      Nullable(
        Type.String({ maxLength: 64, description: 'Who it acts for: a client or a person; oneself by default.' }),
      ),
    ),
    scopes: Type.Optional(
      Nullable(
        Type.Array(Type.String({ maxLength: 64 }), {
          minItems: 1,
          maxItems: 20,
          description: 'What it may do: scopes, or read and write for those of files; files:read by default.',
        }),
      ),
    ),
    expires_in: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: LONGEST_SECONDS.token,
          description: 'Seconds until it expires; by default it is valid until it is revoked.',
        }),
      ),
    ),
    name: Type.Optional(
      Nullable(Type.String({ minLength: 1, maxLength: 200, description: 'What it is for, to tell it from others.' })),
    ),
  },
  { title: 'NewApiToken' },
);
export type NewApiToken = Static<typeof NewApiToken>;

const Scopes = Type.Array(Type.String(), { description: 'What it may do.' });

export const ApiTokenCreated = Type.Object(
  {
    token_id: Text('Id to rotate and to revoke it by.'),
    token: Text('The token, shown this once. Send it as Authorization: Bearer <token>.'),
    created_at: Time('When it was made.'),
    scopes: Scopes,
    user_id: Text('Who it acts for.'),
    name: Nullable(Text('What it is for.')),
    expires_at: Nullable(Time('When it ends; null: when it is revoked.')),
  },
  { title: 'ApiTokenCreated' },
);
export type ApiTokenCreated = Static<typeof ApiTokenCreated>;

export const ApiToken = Type.Object(
  {
    token_id: Text('Id to rotate and to revoke it by.'),
    created_at: Time('When it was made.'),
    last_used: Nullable(Time('When it was last sent with a request.')),
    scopes: Scopes,
    uses: Type.Integer({ minimum: 0, description: 'Requests that it was sent with.' }),
    uses_by_day: Type.Array(Type.Integer({ minimum: 0 }), { description: 'Of the last 30 days (UTC), today last.' }),
    user_id: Text('Who it acts for.'),
    name: Nullable(Text('What it is for.')),
    expires_at: Nullable(Time('When it ends; null: when it is revoked.')),
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
      Text('Only tokens of this client or person; by default all that one may manage: with tokens:admin the tenant’s.'),
    ),
  },
  { title: 'ApiTokenQuery' },
);
export type ApiTokenQuery = Static<typeof ApiTokenQuery>;
