/** An error of a worker in a form that can be sent to the main thread. A cloned Error would lose its `code`. */
export interface Failure {
  /** The error code of the system, such as ENOSPC or EIO; empty for other errors. */
  code: string;
  message: string;
}

/** Converts a thrown value. */
export function describeFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code: unknown = Reflect.get(error, 'code');
  return { code: typeof code === 'string' ? code : '', message: error.message };
}
