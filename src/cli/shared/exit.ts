/** Exit codes, and how an error maps to one. */
import { LadingError, NameInUseError, NetworkError, VerificationError } from '../../client/client.ts';
import { FileReadError } from '../../settings/small-file.ts';

/** Exit codes of the command line, which docs/cli.md lists. */
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

/** The exit codes for the help page. */
export const EXIT_HELP = `Exit codes:
  0  done                       6    verification failed
  1  other failure              7    network or server unavailable
  2  usage or settings error    8    the range starts past the end of the file
  3  not signed in, forbidden   9    a local file does not exist or cannot be opened
  4  not found on the server    10   the file is not the requested version
  5  conflict on the server     130  interrupted by Ctrl-C; run it again to resume
                                141  the reader of standard output closed it early
                                143  terminated by SIGTERM; run it again to resume`;

/** A mistake on the command line or in settings, which the user must correct. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The reader of standard output closed it before the end of the file. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** A signal ended the command. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('stopped; run the same command again to resume');
    this.exitCode = exitCode;
  }
}

/** Maps an error to an exit code. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Stopped) return error.exitCode;
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof OutputClosed) return EXIT.outputClosed;
  if (error instanceof NetworkError) return EXIT.unavailable;
  if (error instanceof VerificationError) return EXIT.verification;
  if (!(error instanceof LadingError))
    return isOpenFailure(error) || error instanceof FileReadError ? EXIT.localFile : EXIT.failure;
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

/** Why a local file cannot be opened, by system error code. */
const OPEN_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  ENOTDIR: 'A component of the path is not a directory',
  EACCES: 'Permission denied',
  EPERM: 'Permission denied',
  EISDIR: 'Is a directory',
};

/** True for the system error of a file that does not exist or cannot be opened. */
function isOpenFailure(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof Error &&
    'syscall' in error &&
    error.syscall === 'open' &&
    'code' in error &&
    String(error.code) in OPEN_FAILURES
  );
}

/** The message of an error, with the option that helps. */
function detailOf(error: LadingError): string {
  return error instanceof NameInUseError ? `${error.message} Use --overwrite to replace it.` : error.message;
}

/** Describes an error for `--json`: code, detail and further members. */
export function describeError(error: unknown): Record<string, unknown> {
  if (error instanceof LadingError) {
    return { code: error.code, detail: detailOf(error), status: error.status, ...error.members };
  }
  const codes: Record<string, string> = {
    NetworkError: 'network',
    VerificationError: 'verification_failed',
    SourceChangedError: 'source_changed',
    UsageError: 'usage',
    Stopped: 'stopped',
  };
  if (!(error instanceof Error)) return { code: 'failure', detail: String(error) };
  if (error instanceof FileReadError) return { code: 'local_file', detail: error.message };
  if (isOpenFailure(error)) {
    return { code: 'local_file', detail: `${OPEN_FAILURES[error.code ?? '']}: ${error.path ?? 'a local file'}` };
  }
  return { code: codes[error.name] ?? 'failure', detail: error.message };
}
