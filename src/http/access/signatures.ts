/** How access tokens are signed and verified: JWT (RFC 7519) by one algorithm, and no other. */
import jwt from '@fastify/jwt';
import type { FastifyInstance } from 'fastify';
import { AUDIENCE, type Claims } from '../../identity/access-tokens.ts';
import type { KeyRing } from '../../identity/credentials/signing-keys.ts';

/** The issuer of a server that has no public URL. */
export const ISSUER = 'lading';

/** One secret for both, or keys that rotate. */
export type JwtKeys = { algorithm: 'HS256'; secret: string } | KeyRing;

export interface Signatures {
  sign(claims: Claims): string;
  /**
   * The claims; throws for a token of another algorithm, an unknown key, issuer or audience, or a wrong signature. Whether it has expired
   * is for the caller to say: `exp` is a date, and dates are set.
   */
  verify(token: string): unknown;
}

/** To be called once, while the application is built. */
export function registerSignatures(app: FastifyInstance, keys: JwtKeys, issuer: string): Signatures {
  const { algorithm } = keys;
  const rules = {
    algorithms: [algorithm],
    allowedIss: issuer,
    allowedAud: AUDIENCE,
    requiredClaims: ['sub', 'iss', 'aud', 'jti', 'iat', 'exp'],
    ignoreExpiration: true,
  };
  if ('secret' in keys) {
    app.register(jwt, { secret: keys.secret, sign: { algorithm }, verify: rules });
    return {
      sign: (claims) => app.jwt.sign(claims),
      verify: (token) => app.jwt.verify(token),
    };
  }
  const { privateKey, publicKey, kid } = keys.current;
  app.register(jwt, {
    secret: { private: privateKey, public: publicKey },
    sign: { algorithm, kid },
    verify: rules,
  });
  return {
    sign: (claims) => {
      const key = keys.current;
      return app.jwt.sign(claims, { algorithm, kid: key.kid, key: key.privateKey });
    },
    verify: (token) => {
      const key = keys.find(kidOf(app, token));
      if (!key) throw new Error('unknown key');
      return app.jwt.verify(token, { key: key.publicKey });
    },
  };
}

/** What the token says that it was signed by; nothing of it is believed yet. */
function kidOf(app: FastifyInstance, token: string): string {
  const decoded: { header?: { kid?: unknown } } | null = app.jwt.decode(token, { complete: true });
  const kid = decoded?.header?.kid;
  return typeof kid === 'string' ? kid : '';
}
