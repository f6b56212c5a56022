/** The door by which the engine reports what happens to files. */
import type { FileDocument } from '../records/file.ts';

/** What happens to files, as it happens. */
export type FileEvent =
  | {
      type: 'file.created' | 'file.completed' | 'file.deleted';
      file: Readonly<FileDocument>;
    }
  | {
      type: 'upload.cancelled' | 'upload.stale' | 'upload.expired';
      file: Readonly<FileDocument>;
      /** Bytes stored of it. */
      received: number;
      /** Of `upload.stale`: date before which it is not removed; null: never. */
      expiresAt?: number | null;
    }
  | {
      type: 'chunk.received';
      file: Readonly<FileDocument>;
      /** Bytes of the chunk that were not there before. */
      fresh: number;
      /** Bytes stored now, and of how many; null: undeclared. */
      received: number;
      total: number | null;
    };

/** Something that is about to happen to files, and that others are to hear of even if the server is killed in between. */
export interface Announcement {
  /** Resolves when it is on stable storage. */
  ready: Promise<void>;
  /** To be called afterwards: what did not happen until now does not happen. */
  end(): void;
}

/** Of a change that is recorded in the audit log. */
export interface AnnouncedChange extends Announcement {
  /** To be given with the entry. */
  key: string;
}
