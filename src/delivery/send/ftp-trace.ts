/** What a delivery has done on an FTP server so far. Each step is stored before it is taken. */
export interface FtpTrace {
  /** The name that the file was about to get; the reply to the rename may have been lost. */
  remoteName: string | null;
  /** Temporary names that may exist there. Names of folders end with a slash. */
  temporaryNames: readonly string[];
}
