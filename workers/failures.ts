/** What went wrong in a worker, in a form that survives the way back: a cloned Error loses its `code`. */
export interface Failure {
  /** As in `errno`: ENOSPC, EIO…; empty when the system had no part in it. */
  code: string;
  message: string;
}

export function describeFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code: unknown = Reflect.get(error, 'code');
  return { code: typeof code === 'string' ? code : '', message: error.message };
}
