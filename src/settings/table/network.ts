/** Proxies, the public address, other origins, sign-in providers and TLS. */
import { setting } from '../setting.ts';

export const NETWORK = [
  setting(
    'trustProxy',
    'proxies',
    'none',
    'Proxies whose X-Forwarded-For, -Proto, -Host, -Port and -Prefix (or Forwarded) are believed: none, or a list of addresses, CIDR ranges, loopback, linklocal, uniquelocal',
  ),
  setting(
    'publicUrl',
    'site',
    null,
    'Where people reach the server, as https://files.example.org or https://example.org/drive; needed when a proxy hides it',
  ),
  setting(
    'allowedOrigins',
    'origins',
    'none',
    'Pages of other origins that may use every route, with cookies: none, or a list as https://app.example.org, separated by commas; * allows any, without cookies',
  ),
  setting(
    'registration',
    'registration',
    'closed',
    'closed: administrators make the accounts of people; open: anybody who reaches the server may make one',
  ),
  setting(
    'oidcIssuer',
    'url',
    null,
    'An OpenID provider through which people may sign in, as https://login.example.org/realm; register PUBLIC_URL/v1/auth/oidc/callback there',
  ),
  setting('oidcClientId', 'name', null, 'Id of this server at the OpenID provider'),
  setting('oidcClientSecret', 'secret', null, 'Its secret there'),
  setting(
    'yandexClientId',
    'name',
    null,
    'Id of this server at Yandex, through which people may sign in; register PUBLIC_URL/v1/auth/yandex/callback there',
  ),
  setting('yandexClientSecret', 'secret', null, 'Its secret there'),
  setting('yandexOauthUrl', 'origin', 'https://oauth.yandex.ru', 'Where Yandex signs people in'),
  setting('yandexLoginUrl', 'origin', 'https://login.yandex.ru', 'Where Yandex tells who somebody is'),
  setting('tlsCert', 'file', null, 'PEM file with the certificate chain; with the key it turns on HTTPS and HTTP/2'),
  setting('tlsKey', 'file', null, 'PEM file with the private key'),
] as const;
