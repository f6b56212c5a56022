/** Every setting of the server, in one table: parsing, `--help` and the README's list come from it. */
import { availableParallelism } from 'node:os';

import { GIB, MIB, TIB } from './protocol/sizes.ts';

const SECONDS_A_YEAR = 366 * 24 * 3600;

/** How the text of a setting is read, and what type it becomes. */
export interface KindTypes {
  text: string;
  name: string | null;
  secret: string | null;
  path: string;
  file: string | null;
  id: string | null;
  int: number;
  size: number;
  cron: string;
  durability: 'chunk' | 'seal';
  level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  proxies: readonly string[];
  /** Scheme, host and port. */
  origin: string | null;
  url: string | null;
  registration: 'open' | 'closed';
  algorithm: 'HS256' | 'EdDSA' | 'RS256';
  switch: 'on' | 'off';
}

export type Kind = keyof KindTypes;

export interface Setting {
  /** Key in `Config`. */
  readonly name: string;
  readonly env: string;
  /** Without the dashes. */
  readonly flag: string;
  readonly kind: Kind;
  /** As a person would write it; null: none. */
  readonly default: string | null;
  readonly help: string;
  /** Bounds of the kinds `int` and `size`, inclusive. */
  readonly min?: number;
  readonly max?: number;
}

export const SETTINGS = [
  { name: 'host', env: 'LADING_HOST', flag: 'host', kind: 'text', default: '0.0.0.0', help: 'Address to listen on' },
  {
    name: 'port',
    env: 'LADING_PORT',
    flag: 'port',
    kind: 'int',
    default: '8005',
    help: 'Port to listen on; 0 takes a free one',
    min: 0,
    max: 65535,
  },
  {
    name: 'dataDir',
    env: 'LADING_DATA_DIR',
    flag: 'data-dir',
    kind: 'path',
    default: './data',
    help: 'Where everything is stored; made when absent',
  },
  {
    name: 'adminId',
    env: 'LADING_ADMIN_ID',
    flag: 'admin-id',
    kind: 'id',
    default: null,
    help: 'Id of the first administrator; without it one is made on first start and shown once',
  },
  {
    name: 'adminSecret',
    env: 'LADING_ADMIN_SECRET',
    flag: 'admin-secret',
    kind: 'secret',
    default: null,
    help: 'Secret of the first administrator; other users of the machine can read flags, so prefer the environment',
  },
  {
    name: 'jwtSecret',
    env: 'LADING_JWT_SECRET',
    flag: 'jwt-secret',
    kind: 'secret',
    default: null,
    help: 'Key that signs tokens; made and kept in the data directory when absent',
  },
  {
    name: 'jwtAlgorithm',
    env: 'LADING_JWT_ALGORITHM',
    flag: 'jwt-algorithm',
    kind: 'algorithm',
    default: 'HS256',
    help: 'What tokens are signed by: HS256 with the key above, or EdDSA or RS256 with keys that rotate and are published',
  },
  {
    name: 'jwtRotateDays',
    env: 'LADING_JWT_ROTATE_DAYS',
    flag: 'jwt-rotate-days',
    kind: 'int',
    default: '90',
    help: 'How long a key of EdDSA or RS256 signs before a new one does',
    min: 1,
    max: 3650,
  },
  {
    name: 'tokenMinutes',
    env: 'LADING_TOKEN_MINUTES',
    flag: 'token-minutes',
    kind: 'int',
    default: '30',
    help: 'How long a token is good',
    min: 1,
    max: 525_600,
  },
  {
    name: 'refreshDays',
    env: 'LADING_REFRESH_DAYS',
    flag: 'refresh-days',
    kind: 'int',
    default: '30',
    help: 'How long a refresh token is good; each use gives a new one. So long is a token of /ops/login and /client/login good',
    min: 1,
    max: 3650,
  },
  {
    name: 'sessionDays',
    env: 'LADING_SESSION_DAYS',
    flag: 'session-days',
    kind: 'int',
    default: '365',
    help: 'How long a sign-in lasts at most, however often it is renewed',
    min: 1,
    max: 365,
  },
  {
    name: 'passwordGrant',
    env: 'LADING_PASSWORD_GRANT',
    flag: 'password-grant',
    kind: 'switch',
    default: 'on',
    help: 'on: POST /auth/token takes the id and secret of a client, as older devices send them; off: only POST /api/oauth/token does, as RFC 9700 wants it',
  },
  {
    name: 'staleSeconds',
    env: 'LADING_STALE_SECONDS',
    flag: 'stale-seconds',
    kind: 'int',
    default: '86400',
    help: 'An upload that got nothing for so long is removed',
    min: 1,
    max: 10 * SECONDS_A_YEAR,
  },
  {
    name: 'cleanupCron',
    env: 'LADING_CLEANUP_CRON',
    flag: 'cleanup-cron',
    kind: 'cron',
    default: '0 * * * *',
    help: 'When stale uploads are looked for, besides at start',
  },
  {
    name: 'openEndedSeconds',
    env: 'LADING_OPEN_ENDED_SECONDS',
    flag: 'open-ended-seconds',
    kind: 'int',
    default: '900',
    help: 'A covered file of undeclared size is sealed when nothing came for so long',
    min: 1,
    max: SECONDS_A_YEAR,
  },
  {
    name: 'maxChunkBytes',
    env: 'LADING_MAX_CHUNK_BYTES',
    flag: 'max-chunk-bytes',
    kind: 'size',
    default: '1GiB',
    help: 'Largest chunk, data alone',
    min: 1,
  },
  {
    name: 'maxFileBytes',
    env: 'LADING_MAX_FILE_BYTES',
    flag: 'max-file-bytes',
    kind: 'size',
    default: '1TiB',
    help: 'Largest file',
    min: 1,
  },
  {
    name: 'workers',
    env: 'LADING_WORKERS',
    flag: 'workers',
    kind: 'int',
    default: String(availableParallelism()),
    help: 'Threads that checksum and write (default: one a core)',
    min: 1,
    max: 256,
  },
  {
    name: 'bufferBytes',
    env: 'LADING_BUFFER_BYTES',
    flag: 'buffer-bytes',
    kind: 'size',
    default: '32MiB',
    help: 'Memory for bytes on their way from sockets to disk; downloads have half as much besides',
    min: 8 * MIB,
    max: TIB,
  },
  {
    name: 'durability',
    env: 'LADING_DURABILITY',
    flag: 'durability',
    kind: 'durability',
    default: 'chunk',
    help: 'chunk: every acknowledged chunk is on stable storage; seal: complete files are',
  },
  {
    name: 'idleSeconds',
    env: 'LADING_IDLE_SECONDS',
    flag: 'idle-seconds',
    kind: 'int',
    default: '120',
    help: 'A request that brings no byte for so long is ended; after 10 s when another one waits to send the same bytes',
    min: 1,
    max: 86_400,
  },
  {
    name: 'minBytesPerSecond',
    env: 'LADING_MIN_BYTES_PER_SECOND',
    flag: 'min-bytes-per-second',
    kind: 'size',
    default: '1',
    help: 'A slower upload, averaged over a minute, is ended; 0 allows any',
    min: 0,
    max: GIB,
  },
  {
    name: 'ratePrincipal',
    env: 'LADING_RATE_PRINCIPAL',
    flag: 'rate-principal',
    kind: 'int',
    default: '600000',
    help: 'Requests a minute of one client or person, with all its tokens; 0 allows any',
    min: 0,
    max: 1_000_000_000,
  },
  {
    name: 'rateToken',
    env: 'LADING_RATE_TOKEN',
    flag: 'rate-token',
    kind: 'int',
    default: '300000',
    help: 'Requests a minute with one token, so that one program leaves the others of its owner something; 0 allows any',
    min: 0,
    max: 1_000_000_000,
  },
  {
    name: 'rateAddress',
    env: 'LADING_RATE_ADDRESS',
    flag: 'rate-address',
    kind: 'int',
    default: '1200000',
    help: 'Requests a minute from one address, or one IPv6 network of 64 bits; 0 allows any',
    min: 0,
    max: 1_000_000_000,
  },
  {
    name: 'quotaBytes',
    env: 'LADING_QUOTA_BYTES',
    flag: 'quota-bytes',
    kind: 'size',
    default: '0',
    help: 'Bytes that one client or person may have stored; 0 allows any',
    min: 0,
  },
  {
    name: 'quotaOpenUploads',
    env: 'LADING_QUOTA_OPEN_UPLOADS',
    flag: 'quota-open-uploads',
    kind: 'int',
    default: '10000',
    help: 'Unfinished uploads that one client or person may have; 0 allows any',
    min: 0,
    max: 1_000_000_000,
  },
  {
    name: 'quotaDayBytes',
    env: 'LADING_QUOTA_DAY_BYTES',
    flag: 'quota-day-bytes',
    kind: 'size',
    default: '0',
    help: 'Bytes that one client or person may upload between midnight and midnight UTC; 0 allows any',
    min: 0,
  },
  {
    name: 'trustProxy',
    env: 'LADING_TRUST_PROXY',
    flag: 'trust-proxy',
    kind: 'proxies',
    default: 'none',
    help: 'Proxies whose X-Forwarded-For is believed: none, or a list of addresses, CIDR ranges, loopback, linklocal, uniquelocal',
  },
  {
    name: 'publicUrl',
    env: 'LADING_PUBLIC_URL',
    flag: 'public-url',
    kind: 'origin',
    default: null,
    help: 'Where people reach the server, as https://files.example.org; needed when a proxy hides it',
  },
  {
    name: 'registration',
    env: 'LADING_REGISTRATION',
    flag: 'registration',
    kind: 'registration',
    default: 'closed',
    help: 'closed: administrators make the accounts of people; open: anybody who reaches the server may make one',
  },
  {
    name: 'oidcIssuer',
    env: 'LADING_OIDC_ISSUER',
    flag: 'oidc-issuer',
    kind: 'url',
    default: null,
    help: 'An OpenID provider through which people may sign in, as https://login.example.org/realm; register PUBLIC_URL/v1/auth/oidc/callback there',
  },
  {
    name: 'oidcClientId',
    env: 'LADING_OIDC_CLIENT_ID',
    flag: 'oidc-client-id',
    kind: 'name',
    default: null,
    help: 'Id of this server at the OpenID provider',
  },
  {
    name: 'oidcClientSecret',
    env: 'LADING_OIDC_CLIENT_SECRET',
    flag: 'oidc-client-secret',
    kind: 'secret',
    default: null,
    help: 'Its secret there',
  },
  {
    name: 'yandexClientId',
    env: 'LADING_YANDEX_CLIENT_ID',
    flag: 'yandex-client-id',
    kind: 'name',
    default: null,
    help: 'Id of this server at Yandex, through which people may sign in; register PUBLIC_URL/v1/auth/yandex/callback there',
  },
  {
    name: 'yandexClientSecret',
    env: 'LADING_YANDEX_CLIENT_SECRET',
    flag: 'yandex-client-secret',
    kind: 'secret',
    default: null,
    help: 'Its secret there',
  },
  {
    name: 'yandexOauthUrl',
    env: 'LADING_YANDEX_OAUTH_URL',
    flag: 'yandex-oauth-url',
    kind: 'origin',
    default: 'https://oauth.yandex.ru',
    help: 'Where Yandex signs people in',
  },
  {
    name: 'yandexLoginUrl',
    env: 'LADING_YANDEX_LOGIN_URL',
    flag: 'yandex-login-url',
    kind: 'origin',
    default: 'https://login.yandex.ru',
    help: 'Where Yandex tells who somebody is',
  },
  {
    name: 'tlsCert',
    env: 'LADING_TLS_CERT',
    flag: 'tls-cert',
    kind: 'file',
    default: null,
    help: 'PEM file with the certificate chain; with the key it turns on HTTPS and HTTP/2',
  },
  {
    name: 'tlsKey',
    env: 'LADING_TLS_KEY',
    flag: 'tls-key',
    kind: 'file',
    default: null,
    help: 'PEM file with the private key',
  },
  {
    name: 'deliveryParallel',
    env: 'LADING_DELIVERY_PARALLEL',
    flag: 'delivery-parallel',
    kind: 'int',
    default: '4',
    help: 'Deliveries to FTP servers and webhooks at one time, two of them to one target',
    min: 1,
    max: 64,
  },
  {
    name: 'deliveryAttempts',
    env: 'LADING_DELIVERY_ATTEMPTS',
    flag: 'delivery-attempts',
    kind: 'int',
    default: '300',
    help: 'Tries before a delivery is given up; the default takes two days',
    min: 1,
    max: 10000,
  },
  {
    name: 'deliveryRetrySeconds',
    env: 'LADING_DELIVERY_RETRY_SECONDS',
    flag: 'delivery-retry-seconds',
    kind: 'int',
    default: '10',
    help: 'Wait after the first try of a delivery; it doubles from try to try, up to ten minutes',
    min: 1,
    max: 86400,
  },
  {
    name: 'webhookPrivate',
    env: 'LADING_WEBHOOK_PRIVATE',
    flag: 'webhook-private',
    kind: 'switch',
    default: 'off',
    help: 'on: webhooks may be sent to addresses of your own network and by http; off: to the public internet by https only',
  },
  {
    name: 'sealingKey',
    env: 'LADING_SEALING_KEY',
    flag: 'sealing-key',
    kind: 'secret',
    default: null,
    help: 'Key under which passwords of delivery targets are kept; without one the server makes one and keeps it in the data directory',
  },
  {
    name: 'logLevel',
    env: 'LADING_LOG_LEVEL',
    flag: 'log-level',
    kind: 'level',
    default: 'info',
    help: 'fatal, error, warn, info, debug, trace or silent; chunk uploads are logged at debug',
  },
  {
    name: 'shutdownSeconds',
    env: 'LADING_SHUTDOWN_SECONDS',
    flag: 'shutdown-seconds',
    kind: 'int',
    default: '20',
    help: 'How long running requests may go on after SIGTERM',
    min: 0,
    max: 3600,
  },
] as const satisfies readonly Setting[];
