/** Rates, quotas and connections. */
import { setting } from '../setting.ts';

export const LIMITS = [
  setting(
    'ratePrincipal',
    'int',
    '600000',
    'Requests per minute of one client or person, with all its tokens; 0: unlimited',
    { min: 0, max: 1_000_000_000 },
  ),
  setting(
    'rateToken',
    'int',
    '300000',
    'Requests per minute with one token, so that one program does not use up the limit of its owner; 0: unlimited',
    { min: 0, max: 1_000_000_000 },
  ),
  setting(
    'rateAddress',
    'int',
    '1200000',
    'Requests per minute from one address, or one IPv6 network of 64 bits; 0: unlimited',
    { min: 0, max: 1_000_000_000 },
  ),
  setting('quotaBytes', 'size', '0', 'Bytes that one client or person may store; 0: unlimited', { min: 0 }),
  setting('quotaOpenUploads', 'int', '10000', 'Unfinished uploads that one client or person may have; 0: unlimited', {
    min: 0,
    max: 1_000_000_000,
  }),
  setting(
    'quotaDayBytes',
    'size',
    '0',
    'Bytes that one client or person may upload between midnight and midnight UTC; 0: unlimited',
    { min: 0 },
  ),
  setting(
    'addressConnections',
    'int',
    '0',
    'Maximum connections from one address, and maximum of its requests that run at once, except for trusted proxies; 0: half of the file descriptors that the server may open',
    { min: 0, max: 1000000 },
  ),
] as const;
