/** Access tokens, refresh tokens and sessions. */
import { setting } from '../setting.ts';

export const TOKENS = [
  setting('jwtSecret', 'secret', null, 'Key that signs tokens; made and kept in the data directory when absent', {
    strength: 'key',
  }),
  setting(
    'jwtAlgorithm',
    'algorithm',
    'HS256',
    'What tokens are signed by: HS256 with the key above, or EdDSA or RS256 with keys that rotate and are published',
  ),
  setting('jwtRotateDays', 'int', '90', 'How long a key of EdDSA or RS256 signs before a new one does', {
    min: 1,
    max: 3650,
  }),
  setting('tokenMinutes', 'int', '30', 'How long an access token is valid', { min: 1, max: 525_600 }),
  setting('refreshDays', 'int', '30', 'How long a refresh token is valid; each use gives a new one', {
    min: 1,
    max: 3650,
  }),
  setting('sessionDays', 'int', '365', 'How long a sign-in lasts at most, however often it is renewed', {
    min: 1,
    max: 365,
  }),
  setting(
    'accountDays',
    'int',
    '365',
    'How long a token of /ops/login and /client/login is valid, which cannot be renewed',
    { min: 1, max: 3650 },
  ),
  setting(
    'passwordGrant',
    'switch',
    'on',
    'on: POST /auth/token takes the id and secret of a client, as older devices send them; off: only POST /api/oauth/token does, as RFC 9700 wants it',
  ),
] as const;
