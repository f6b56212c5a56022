/** Documents of delivery targets and deliveries, as they are stored. */

/** Selects the files or events for a target. An empty or null field selects all. */
export interface DeliveryRule {
  /** Id of the client or person in the target's tenant. */
  owner: string | null;
  prefix: string;
  /** Media type, or a top-level type with a slash: `audio/`. */
  type: string | null;
}

/** The fields that all targets have. */
export interface TargetBase {
  id: string;
  tenant: string;
  name: string;
  rule: DeliveryRule;
  createdAt: number;
  /** `createdAt` on the time line (`Clock.steady`); absent in documents of earlier versions. */
  madeAt?: number;
  /** Password or signing key, sealed. */
  secret: string;
  /** Present if the target is disabled. */
  disabled?: {
    at: number;
    reason: string;
    /** Present if the server disabled the target by itself and the audit log has no entry yet: id of the event that will add it. */
    unrecorded?: string;
  };
  /** When the target was last enabled, on the time line. Files completed before are not sent. */
  enabledAt?: number;
  /** The target was deleted. The document is kept until the temporary files on its server are removed. */
  retired?: true;
}

/** An FTP server that receives complete files. */
export interface FtpTargetDocument extends TargetBase {
  kind: 'ftp' | 'ftps';
  host: string;
  port: number;
  username: string;
  directory: string;
  /** Pattern of remote names, with placeholders in braces. */
  pattern: string;
  /** PEM of the certificate authority of the server; null: the authorities that Node trusts. */
  ca: string | null;
  /** FTPS: TLS from the first byte instead of AUTH TLS. */
  implicit?: true;
}

/** A URL that receives events. */
export interface WebhookTargetDocument extends TargetBase {
  kind: 'webhook';
  url: string;
  events: string[];
  /** `file`: the URL receives the complete files instead of events. */
  content: 'event' | 'file';
}

export type TargetDocument = FtpTargetDocument | WebhookTargetDocument;

/** One file or event on its way to one target. */
export interface DeliveryDocument {
  id: string;
  targetId: string;
  tenant: string;
  event: string;
  /** Owner key (as in the engine), name and id of the file; null: the event concerns no file. */
  owner: string | null;
  fileName: string | null;
  fileId: string | null;
  /** Size and CRC-32 of the complete file: a file that is continued is sent again. Absent in other events and in older documents. */
  version?: string;
  /** The intended name on an FTP server. */
  remoteName?: string;
  /** Temporary names that attempts may have left on an FTP server. Directories end with a slash. */
  litter?: readonly string[];
  /** The delivery has ended, and its temporary names are removed at this moment of the time line or later. */
  cleanAt?: number;
  /** Failed attempts to remove them. */
  cleanTries?: number;
  /** The event is announced and has not happened yet: see `delivery/outbox`. */
  announced?: true;
  /** JSON of the event, for webhooks. */
  payload: string | null;
  /** `cancelled`: the file or the target was deleted before the delivery. */
  state: 'queued' | 'delivered' | 'failed' | 'cancelled';
  attempts: number;
  /** How often an administrator restarted it. */
  retries?: number;
  lastError: string | null;
  createdAt: number;
  /** Earliest time of the next attempt, on the time line (`Clock.steady`); null once the delivery has ended. */
  nextAt: number | null;
  endedAt: number | null;
}
