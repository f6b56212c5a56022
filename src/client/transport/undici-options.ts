/** What the transport of Node is told. */
export interface UndiciOptions {
  /** Most connections to the server at once. */
  connections?: number;
  /** Milliseconds to wait for a connection. */
  connectMs?: number;
  /** PEM with certificates of authorities that are trusted too, besides those that Node trusts. */
  ca?: string | undefined;
  /** Where the proxies are named, in the variables that curl knows; by default the environment of the process. */
  env?: Readonly<Record<string, string | undefined>>;
}
