/** Delivery to FTP servers and webhooks. */
import { setting } from '../setting.ts';

export const DELIVERY = [
  setting(
    'deliveryParallel',
    'int',
    '4',
    'Deliveries to FTP servers and webhooks that run at once, at most two of them to one target',
    { min: 1, max: 64 },
  ),
  setting('deliveryAttempts', 'int', '300', 'Attempts before a delivery fails permanently; 300 take two days', {
    min: 1,
    max: 10000,
  }),
  setting(
    'deliveryRetrySeconds',
    'int',
    '10',
    'Wait after the first attempt of a delivery; it doubles with each attempt, up to ten minutes',
    { min: 1, max: 86400 },
  ),
  setting(
    'webhookPrivate',
    'switch',
    'off',
    'on: webhooks may use addresses of your own network and http, FTP targets of every tenant may be there, and sign-in providers may name endpoints there; off: webhooks and endpoints of providers are limited to the public internet and https, and FTP targets of all tenants but the first to the public internet',
  ),
  setting(
    'sealingKey',
    'secret',
    null,
    'Key that seals passwords of delivery targets; by default the server creates one and stores it in the data directory',
    { strength: 'key' },
  ),
  setting(
    'dashboardPassword',
    'secret',
    null,
    'Opens /api/tokens/dashboard, which creates and revokes API tokens of the default tenant; without it, that path leads to the dashboard',
    { strength: 'password', env: 'DASHBOARD_PASSWORD' },
  ),
] as const;
