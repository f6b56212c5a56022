/** Rates, quotas and connections. */
import { setting } from '../setting.ts';

export const LIMITS = [
  setting(
    'ratePrincipal',
    'int',
    '600000',
    'Requests a minute of one client or person, with all its tokens; 0 allows any',
    { min: 0, max: 1_000_000_000 },
  ),
  setting(
    'rateToken',
    'int',
    '300000',
    'Requests a minute with one token, so that one program leaves the others of its owner something; 0 allows any',
    { min: 0, max: 1_000_000_000 },
  ),
  setting(
    'rateAddress',
    'int',
    '1200000',
    'Requests a minute from one address, or one IPv6 network of 64 bits; 0 allows any',
    { min: 0, max: 1_000_000_000 },
  ),
  setting('quotaBytes', 'size', '0', 'Bytes that one client or person may have stored; 0 allows any', { min: 0 }),
  setting('quotaOpenUploads', 'int', '10000', 'Unfinished uploads that one client or person may have; 0 allows any', {
    min: 0,
    max: 1_000_000_000,
  }),
  setting(
    'quotaDayBytes',
    'size',
    '0',
    'Bytes that one client or person may upload between midnight and midnight UTC; 0 allows any',
    { min: 0 },
  ),
  setting(
    'addressConnections',
    'int',
    '0',
    'Most connections from one address, and most of its requests that run at once; trusted proxies are not counted; 0: half of the descriptors that the server may have open',
    { min: 0, max: 1000000 },
  ),
] as const;
