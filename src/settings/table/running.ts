/** Upload addresses, older clients, the log and the stop. */
import { setting } from '../setting.ts';

export const RUNNING = [
  setting(
    'uploadAbsolute',
    'switch',
    'off',
    'on: Location of an upload has scheme and host, as PUBLIC_URL or a trusted proxy says; off: it is a path',
  ),
  setting(
    'uploadRight',
    'switch',
    'off',
    'on: Location of an upload is itself the right to go on with it until it lapses, whatever becomes of the token; off: it takes a token of the same client or person',
  ),
  setting(
    'compat',
    'compat',
    'none',
    'Older servers whose programs are served by their looser rules: none, or file-transfer, audio-ftp, ops-client, talk, audio-hosting, separated by commas; docs/migrating.md says what each loosens',
  ),
  setting(
    'logLevel',
    'level',
    'info',
    'fatal, error, warn, info, debug, trace or silent; chunk uploads are logged at debug',
  ),
  setting(
    'logFile',
    'file',
    null,
    'File that the log is appended to; SIGHUP opens it again. Without one the log goes to standard error',
  ),
  setting('shutdownSeconds', 'int', '20', 'How long running requests may go on after SIGTERM', { min: 0, max: 3600 }),
] as const;
