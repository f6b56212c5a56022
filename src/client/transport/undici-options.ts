/** Options of the transport for Node. */
export interface UndiciOptions {
  /** Maximum number of connections to the server; default 32. */
  connections?: number;
  /** Milliseconds to wait for a connection; default 15,000. */
  connectMs?: number;
  /** PEM certificates of authorities to trust in addition to those of Node. */
  ca?: string | undefined;
  /** Variables that name the proxies, as for curl; by default the environment of the process. */
  env?: Readonly<Record<string, string | undefined>>;
}
