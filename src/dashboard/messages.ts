/** Messages between the page and its worker. */
import type { ErrorCode } from '../errors.ts';

/** Messages from the page to the worker. `id` is the id of a task. */
export type ToWorker =
  | {
      type: 'upload';
      id: string;
      file: File;
      name: string;
      /** Replace a complete file of that name. */
      replace: boolean;
      /** Ids of uploads that this tab started before a reload. */
      started: string[];
    }
  | { type: 'download'; id: string; name: string }
  /** Stops a transfer. The server keeps the received bytes. */
  | { type: 'stop'; id: string }
  /** Stops an upload, and removes it from the server if this page started it. */
  | { type: 'cancel'; id: string }
  | { type: 'forget'; id: string }
  | { type: 'token'; call: number; token?: string; error?: string; transient?: boolean };

/** Outcome of a cancellation. */
export type Cancelled =
  /** The server has no bytes of the upload. */
  | 'removed'
  /** The server has an unfinished upload of the name that this page did not start. */
  | 'foreign'
  /** The upload was already complete. */
  | 'complete'
  /** The server could not be reached. */
  | 'unknown';

/** Messages from the worker to the page. `id` is the id of a task. */
export type FromWorker =
  | { type: 'progress'; id: string; bytes: number; total: number | null; rate: number; left: number | null }
  | { type: 'waiting'; id: string; why: string }
  /** The server created an upload with this id. */
  | { type: 'started'; upload: string }
  | { type: 'uploaded'; id: string; resumed: number; already: boolean }
  | { type: 'downloaded'; id: string; blob: Blob }
  | { type: 'stopped'; id: string }
  | { type: 'failed'; id: string; why: string; code: ErrorCode | null }
  | { type: 'cancelled'; id: string; name: string; outcome: Cancelled; why: string | null }
  /** Requests a token; `refused` is the previous one. */
  | { type: 'token'; call: number; refused: string | null };
