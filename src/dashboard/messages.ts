/** Messages between the page and its worker. */
import type { ErrorCode } from '../errors.ts';

export type ToWorker =
  | {
      type: 'upload';
      id: string;
      file: File;
      name: string;
      /** Replace a complete file of that name. */
      replace: boolean;
      /** Ids of uploads that this tab began before it was loaded anew. */
      begun: string[];
    }
  | { type: 'download'; id: string; name: string }
  /** Stops it; what the server has of an upload stays there. */
  | { type: 'stop'; id: string }
  /** Stops it, and removes from the server what this page began of it. */
  | { type: 'cancel'; id: string }
  | { type: 'forget'; id: string }
  | { type: 'token'; call: number; token?: string; error?: string; transient?: boolean };

/** What became of an upload that was cancelled. */
export type Cancelled =
  /** Nothing of it is on the server. */
  | 'removed'
  /** The server holds an unfinished upload of the name that this page did not begin. */
  | 'foreign'
  /** It had become complete before. */
  | 'complete'
  /** The server could not be asked. */
  | 'unknown';

export type FromWorker =
  | { type: 'progress'; id: string; bytes: number; total: number | null; rate: number; left: number | null }
  | { type: 'waiting'; id: string; why: string }
  /** An upload of this id began on the server. */
  | { type: 'begun'; upload: string }
  | { type: 'uploaded'; id: string; resumed: number; already: boolean }
  | { type: 'downloaded'; id: string; blob: Blob }
  | { type: 'stopped'; id: string }
  | { type: 'failed'; id: string; why: string; code: ErrorCode | null }
  | { type: 'cancelled'; id: string; name: string; outcome: Cancelled; why: string | null }
  /** A token is wanted; `refused` was the one before. */
  | { type: 'token'; call: number; refused: string | null };
