/** The listening address, the data directory and the first administrator. */
import { setting } from '../setting.ts';

export const BASICS = [
  setting('host', 'text', '0.0.0.0', 'Address to listen on'),
  setting('port', 'int', '8005', 'Port to listen on; 0 selects a free one', { min: 0, max: 65535 }),
  setting('dataDir', 'path', './data', 'Directory where everything is stored; created if it does not exist'),
  setting(
    'adminId',
    'id',
    null,
    'Id of the first administrator; without it, the first start creates one and shows it once',
  ),
  setting(
    'adminSecret',
    'secret',
    null,
    'Secret of the first administrator; other users of the machine can read flags, so prefer the environment',
    { strength: 'password' },
  ),
] as const;
