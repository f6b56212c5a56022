/** Delivery to FTP servers and webhooks. */
import { setting } from '../setting.ts';

export const DELIVERY = [
  setting(
    'deliveryParallel',
    'int',
    '4',
    'Deliveries to FTP servers and webhooks at one time, at most two of them to one target',
    { min: 1, max: 64 },
  ),
  setting('deliveryAttempts', 'int', '300', 'Tries before a delivery is given up; the default takes two days', {
    min: 1,
    max: 10000,
  }),
  setting(
    'deliveryRetrySeconds',
    'int',
    '10',
    'Wait after the first try of a delivery; it doubles from try to try, up to ten minutes',
    { min: 1, max: 86400 },
  ),
  setting(
    'webhookPrivate',
    'switch',
    'off',
    'on: webhooks may be sent to addresses of your own network and by http, and the files of every tenant to FTP servers there, and providers may name endpoints there; off: webhooks and what providers name to the public internet by https only, FTP of tenants but the first to the public internet',
  ),
  setting(
    'sealingKey',
    'secret',
    null,
    'Key under which passwords of delivery targets are kept; without one the server makes one and keeps it in the data directory',
    { strength: 'key' },
  ),
  setting(
    'dashboardPassword',
    'secret',
    null,
    'Opens /api/tokens/dashboard, where API tokens of the default tenant are made and revoked; without it that path leads to the dashboard',
    { strength: 'password', env: 'DASHBOARD_PASSWORD' },
  ),
] as const;
