/** Sign-in of clients at /auth/token, on the wire. */
import Type, { type Static } from 'typebox';
import { Text, Words } from '../parts.ts';

export const TokenRequest = Type.Object(
  {
    username: Text("The client's id."),
    password: Text("The client's secret."),
    grant_type: Type.Optional(Words(['password'])),
  },
  // RFC 6749 §3.2: unknown parameters are ignored.
  {
    title: 'TokenRequest',
    description: 'Sent as application/x-www-form-urlencoded or multipart/form-data.',
    additionalProperties: true,
  },
);
export type TokenRequest = Static<typeof TokenRequest>;

export const TokenReply = Type.Object(
  {
    access_token: Text('Send it as Authorization: Bearer <token>.'),
    token_type: Words(['bearer']),
    expires_in: Type.Integer({ minimum: 0, description: 'Seconds until the token expires.' }),
  },
  { title: 'TokenReply' },
);
export type TokenReply = Static<typeof TokenReply>;
