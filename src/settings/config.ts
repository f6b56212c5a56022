/** Types of the settings and of their sources. */

import type { KindTypes, SETTINGS } from './settings.ts';

type Table = (typeof SETTINGS)[number];

/** The server's settings: sizes in bytes, `dataDir` absolute. */
export type Config = { readonly [S in Table as S['name']]: KindTypes[S['kind']] } & {
  /** The contents of `tlsCert` and `tlsKey`; null: plain HTTP. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
};

/** The settings, and what the operator should know about them. */
export interface LoadedConfig {
  config: Config;
  /** Lines for the log: settings that are valid but probably a mistake. */
  warnings: string[];
  /** Lines for the log: settings of older servers, and the settings that replaced them. */
  notes: string[];
  /** By setting that does not have its default: the flag or variable that it came from, which may be an old name. */
  sources: ReadonlyMap<string, string>;
}

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;
/** Values of flags, unparsed, by the flag's name without dashes. */
export type Flags = Readonly<Record<string, string | undefined>>;
