/** The names that a delivery may have used on an FTP server. Stored before each step. */
export interface FtpTrace {
  /** Target of the last rename, whose reply may have been lost; null: none. */
  remoteName: string | null;
  /** Temporary names that may exist on the server. Names of directories end with a slash. */
  temporaryNames: readonly string[];
}
