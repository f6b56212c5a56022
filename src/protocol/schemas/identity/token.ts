/** What travels at /api/tokens. */
import Type, { type Static } from 'typebox';
import { MAX_SECONDS } from '../../bounds.ts';
import { Nullable, Text, Time } from '../parts.ts';

/** In characters. */
export const MAX_LABEL = 128;

export const NewApiToken = Type.Object(
  {
    user_id: Type.Optional(
      Nullable(
        Type.String({
          minLength: 1,
          maxLength: MAX_LABEL,
          description:
            'Id of the client or person that it acts for. Any other text is a label: the token acts for who asks, and is listed by it. ' +
            'default_user without it.',
        }),
      ),
    ),
    scopes: Type.Optional(
      Nullable(
        Type.Array(Type.String({ maxLength: 64 }), {
          minItems: 1,
          maxItems: 20,
          description: 'What it may do: scopes, or read and write for those of files; read and write by default.',
        }),
      ),
    ),
    expires_in: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: MAX_SECONDS.token,
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

const Scopes = Type.Array(Type.String(), { description: 'What it may do, in the words that were sent.' });
const UserId = Text('Id of whom it acts for, or its label.');
const OwnerId = Text('Id of the client or person that it acts for.');

export const ApiTokenCreated = Type.Object(
  {
    token_id: Text('Id to rotate and to revoke it by.'),
    token: Text('The token, shown this once. Send it as Authorization: Bearer <token>.'),
    created_at: Time('When it was made.'),
    scopes: Scopes,
    user_id: UserId,
    owner_id: OwnerId,
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
    user_id: UserId,
    owner_id: OwnerId,
    name: Nullable(Text('What it is for.')),
    expires_at: Nullable(Time('When it ends; null: when it is revoked.')),
    active: Type.Boolean({ description: 'False once it was revoked.' }),
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
        'Only tokens of this client or person, or with this label; by default all that one may manage: with tokens:admin the tenant’s.',
      ),
    ),
    revoked: Type.Optional(Type.Boolean({ description: 'True: those too that were revoked in the last 30 days.' })),
  },
  { title: 'ApiTokenQuery' },
);
export type ApiTokenQuery = Static<typeof ApiTokenQuery>;

export const Protected = Type.Object(
  { message: Text('For people.'), user_id: UserId, scopes: Scopes },
  { title: 'Protected', description: 'Who asks, and what they may do.' },
);
export type Protected = Static<typeof Protected>;
