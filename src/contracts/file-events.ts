/** The events by which the engine reports changes of files. */
import type { FileDocument } from '../records/file.ts';

/** One change of a file. */
export type FileEvent =
  | {
      type: 'file.created' | 'file.completed' | 'file.deleted';
      file: Readonly<FileDocument>;
    }
  | {
      type: 'upload.cancelled' | 'upload.stale' | 'upload.expired';
      file: Readonly<FileDocument>;
      /** Stored bytes of the upload. */
      received: number;
      /** In `upload.stale`: the upload is not removed before this date; null: it is never removed. */
      expiresAt?: number | null;
    }
  | {
      type: 'chunk.received';
      file: Readonly<FileDocument>;
      /** Bytes of the chunk that were not stored before. */
      fresh: number;
      /** Stored bytes, and the declared size; null: undeclared. */
      received: number;
      total: number | null;
    };

/** An announced change of files. Receivers are notified even if the server is killed during the change. */
export interface Announcement {
  /** Resolves when the announcement is on stable storage. */
  ready: Promise<void>;
  /** Must be called after the change. Drops the announced event if it was not emitted. */
  end(): void;
}

/** The announcement of a change that the audit log records. */
export interface AnnouncedChange extends Announcement {
  /** Must be passed with the audit entry. */
  key: string;
}
