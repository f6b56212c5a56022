/** Exit codes that scripts can use, and how an error becomes one. */
import { LadingError, NetworkError, VerificationError } from '../../client/client.ts';
import { NotRead } from '../../settings/small-file.ts';

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  denied: 3,
  notFound: 4,
  conflict: 5,
  verification: 6,
  unavailable: 7,
  range: 8,
  localFile: 9,
  precondition: 10,
  interrupted: 130,
  outputClosed: 141,
  terminated: 143,
} as const;

export const EXIT_HELP = `Exit codes:
  0  done                       6    verification failed
  1  other failure              7    network or server unavailable
  2  wrong usage or settings    8    the file does not reach to the range that is wanted
  3  not signed in, forbidden   9    a local file is not there or cannot be opened
  4  not found on the server    10   the file is not the version that was asked for
  5  conflict with the server   130  stopped by Ctrl-C; run it again to go on
                                141  nobody read the file on standard output to its end
                                143  ended by SIGTERM; run it again to go on`;

/** Something that the person who typed the command has to change. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The file goes to standard output, and whoever read it left before its end. */
export class OutputClosed extends Error {
  override readonly name = 'Unread';
}

/** The signal that ended the command. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped; run the same command again to go on');
    this.exitCode = exitCode;
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Stopped) return error.exitCode;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof OutputClosed) return EXIT.outputClosed;
  if (error instanceof NetworkError) return EXIT.unavailable;
  if (error instanceof VerificationError) return EXIT.verification;
  if (!(error instanceof LadingError))
    return isUnopened(error) || error instanceof NotRead ? EXIT.localFile : EXIT.failure;
  const { code, status } = error;
  if (code === 'checksum_mismatch' || code === 'digest_mismatch' || code === 'file_damaged') return EXIT.verification;
  if (code === 'invalid_name') return EXIT.usage;
  if (status === 401 || status === 403) return EXIT.denied;
  if (status === 404) return EXIT.notFound;
  if (status === 412) return EXIT.precondition;
  if (status === 409) return EXIT.conflict;
  if (status === 416) return EXIT.range;
  if (status >= 500 || status === 408 || status === 429) return EXIT.unavailable;
  return EXIT.failure;
}

/** Why a local file cannot be opened, by the system's code. */
const UNOPENED: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file or folder',
  ENOTDIR: 'A part of the path is a file, not a folder',
  EACCES: 'You have no permission to open it',
  EPERM: 'You have no permission to open it',
  EISDIR: 'It is a folder',
};

/** The system's error when a file or its folder is not there, or not for us. */
function isUnopened(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    'syscall' in error &&
    error.syscall === 'open' &&
    'code' in error &&
    String(error.code) in UNOPENED
  );
}

/** An error for programs: a code, a sentence, and what else is known. */
export function describeError(error: unknown): Record<string, unknown> {
  if (error instanceof LadingError) {
    return { code: error.code, detail: error.message, status: error.status, ...error.members };
  }
  const codes: Record<string, string> = {
    NetworkError: 'network',
    VerificationError: 'verification_failed',
    SourceChangedError: 'source_changed',
    UsageError: 'usage',
    Stopped: 'stopped',
  };
  if (!(error instanceof Error)) return { code: 'failure', detail: String(error) };
  if (error instanceof NotRead) return { code: 'local_file', detail: error.message };
  if (isUnopened(error)) {
    return { code: 'local_file', detail: `${UNOPENED[error.code ?? '']}: ${error.path ?? 'a local file'}` };
  }
  return { code: codes[error.name] ?? 'failure', detail: error.message };
}
