/** Upload addresses, compatibility with older servers, the log and shutdown. */
import { setting } from '../setting.ts';

export const RUNNING = [
  setting(
    'uploadAbsolute',
    'switch',
    'off',
    'on: the Location of an upload has scheme and host, as PUBLIC_URL or a trusted proxy says; off: it is a path',
  ),
  setting(
    'uploadRight',
    'switch',
    'off',
    'on: the Location of an upload is itself permission to continue it until it expires, even without a token; off: a token of the same client or person is required',
  ),
  setting(
    'compat',
    'compat',
    'none',
    'Older servers whose looser rules apply to their programs: none, or file-transfer, audio-ftp, ops-client, talk, audio-hosting, separated by commas; docs/migrating.md explains each',
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
    'File to which the log is appended; SIGHUP reopens it. Without one, the log goes to standard error',
  ),
  setting('shutdownSeconds', 'int', '20', 'How long running requests may continue after SIGTERM', {
    min: 0,
    max: 3600,
  }),
] as const;
