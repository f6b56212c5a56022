/** What the page and its worker tell each other. */
export type ToWorker =
  | { type: 'upload'; id: string; file: File; name: string }
  | { type: 'download'; id: string; name: string }
  | { type: 'stop'; id: string }
  | { type: 'token'; call: number; token?: string; error?: string };

export type FromWorker =
  | { type: 'progress'; id: string; bytes: number; total: number | null; rate: number; left: number | null }
  | { type: 'waiting'; id: string; why: string }
  | { type: 'uploaded'; id: string; resumed: number }
  | { type: 'downloaded'; id: string; blob: Blob }
  | { type: 'stopped'; id: string }
  | { type: 'failed'; id: string; why: string }
  /** A token is wanted; `refused` was the one before. */
  | { type: 'token'; call: number; refused: string | null };
