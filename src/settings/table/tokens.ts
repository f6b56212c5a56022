/** Access tokens, refresh tokens and sessions. */
import { setting } from '../setting.ts';

export const TOKENS = [
  setting(
    'jwtSecret',
    'secret',
    null,
    'Key that signs tokens; by default the server creates one and stores it in the data directory',
    {
      strength: 'key',
    },
  ),
  setting(
    'jwtAlgorithm',
    'algorithm',
    'HS256',
    'Signature of tokens: HS256 with the key above, or EdDSA or RS256 with published keys that rotate',
  ),
  setting('jwtRotateDays', 'int', '90', 'How long an EdDSA or RS256 key signs before a new one replaces it', {
    min: 1,
    max: 3650,
  }),
  setting('tokenMinutes', 'int', '30', 'How long an access token is valid', { min: 1, max: 525_600 }),
  setting('refreshDays', 'int', '30', 'How long a refresh token is valid; each use returns a new one', {
    min: 1,
    max: 3650,
  }),
  setting('sessionDays', 'int', '365', 'Maximum length of a session, however often it is refreshed', {
    min: 1,
    max: 365,
  }),
  setting(
    'accountDays',
    'int',
    '365',
    'How long a token of /ops/login or /client/login is valid; it cannot be refreshed',
    { min: 1, max: 3650 },
  ),
  setting(
    'passwordGrant',
    'switch',
    'on',
    'on: POST /auth/token accepts the id and secret of a client, as older devices send them; off: only POST /api/oauth/token does, as RFC 9700 requires',
  ),
] as const;
