/** Turns errors of the disk into errors for clients. The message of the system stays in `cause`, because it names paths. */
import { LadingError } from '../../../errors.ts';
import { codeOf } from '../io/disk.ts';
import { confirmAbsence, OUT_OF_SPACE } from './watch.ts';

const DESCRIPTORS = new Set(['EMFILE', 'ENFILE']);

function toLadingError(error: unknown): LadingError {
  if (error instanceof LadingError) return error;
  const code = codeOf(error);
  if (OUT_OF_SPACE.has(code)) {
    return new LadingError(
      'insufficient_storage',
      'The disk of the server is full. Everything stored before is safe. Delete files and try again.',
      {},
      { cause: error },
    );
  }
  if (code === 'ENOENT') return new LadingError('not_found', 'The file does not exist.', {}, { cause: error });
  if (DESCRIPTORS.has(code)) {
    return new LadingError(
      'overloaded',
      'The server has too many files open. Try again soon.',
      { retry_after: 1 },
      { cause: error },
    );
  }
  return new LadingError(
    'internal',
    'The server could not read or write its storage. Try again. If the error persists, contact the operator of the server.',
    {},
    { cause: error },
  );
}

/** Runs `work` and turns every error into a LadingError. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // When the whole data directory is lost, "no such file" is a failure of the server and not an answer.
    throw toLadingError(
      await confirmAbsence(error).then(
        () => error,
        (lost: unknown) => lost,
      ),
    );
  }
}
