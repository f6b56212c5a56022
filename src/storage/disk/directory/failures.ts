/** What a failing disk means to a client. The system's own words stay in `cause`: they name paths. */
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
      'The server has no room for these bytes; what was stored before is safe. Make room and try again.',
      {},
      { cause: error },
    );
  }
  if (code === 'ENOENT') return new LadingError('not_found', 'There is no such file.', {}, { cause: error });
  if (DESCRIPTORS.has(code)) {
    return new LadingError(
      'overloaded',
      'Too many files are open at once; try again soon.',
      { retry_after: 1 },
      { cause: error },
    );
  }
  return new LadingError(
    'internal',
    'The server could not read or write its storage. Try again; if it happens again, ask the operator of the server.',
    {},
    { cause: error },
  );
}

/** Runs `work`; whatever it throws comes out as a LadingError. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // "No such file" is the server's own fault when the whole directory is not there any more.
    throw toLadingError(
      await confirmAbsence(error).then(
        () => error,
        (lost: unknown) => lost,
      ),
    );
  }
}
