/** Proxies, the public address, other origins, sign-in providers and TLS. */
import { setting } from '../setting.ts';

export const NETWORK = [
  setting(
    'trustProxy',
    'proxies',
    'none',
    'Proxies whose X-Forwarded-For, -Proto, -Host, -Port and -Prefix (or Forwarded) are trusted: none, or a list of addresses, CIDR ranges, loopback, linklocal, uniquelocal',
  ),
  setting(
    'publicUrl',
    'site',
    null,
    'Public address of the server, such as https://files.example.org or https://example.org/drive; required if a proxy hides it',
  ),
  setting(
    'allowedOrigins',
    'origins',
    'none',
    'Other origins whose pages may use every route, with cookies: none, or a list such as https://app.example.org, separated by commas; * allows any origin, without cookies',
  ),
  setting(
    'registration',
    'registration',
    'closed',
    'closed: administrators create the accounts of people; open: anybody who reaches the server may create one',
  ),
  setting(
    'oidcIssuer',
    'url',
    null,
    'An OpenID provider for sign-in, such as https://login.example.org/realm; register PUBLIC_URL/v1/auth/oidc/callback there',
  ),
  setting('oidcClientId', 'name', null, 'Id of this server at the OpenID provider'),
  setting('oidcClientSecret', 'secret', null, 'Secret of this server at the OpenID provider'),
  setting(
    'yandexClientId',
    'name',
    null,
    'Id of this server at Yandex, for sign-in; register PUBLIC_URL/v1/auth/yandex/callback there',
  ),
  setting('yandexClientSecret', 'secret', null, 'Secret of this server at Yandex'),
  setting('yandexOauthUrl', 'origin', 'https://oauth.yandex.ru', 'Address where Yandex signs people in'),
  setting(
    'yandexLoginUrl',
    'origin',
    'https://login.yandex.ru',
    'Address where Yandex returns the profile of a person',
  ),
  setting(
    'tlsCert',
    'file',
    null,
    'PEM file with the certificate chain; together with the key it enables HTTPS and HTTP/2',
  ),
  setting('tlsKey', 'file', null, 'PEM file with the private key'),
] as const;
