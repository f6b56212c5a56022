/** Types of the settings, and of the places that they are read from. */

import type { KindTypes, SETTINGS } from './settings.ts';

type Table = (typeof SETTINGS)[number];

/** The server's settings: sizes in bytes, `dataDir` absolute. */
export type Config = { readonly [S in Table as S['name']]: KindTypes[S['kind']] } & {
  /** Contents of `tlsCert` and `tlsKey`; null: plain HTTP. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
};

/** The settings, and what the operator should know about them. */
export interface Loaded {
  config: Config;
  /** Lines for the log: settings that are valid but probably a mistake. */
  warnings: string[];
  /** Lines for the log: old variables that were read, and the settings that they stand for. */
  notes: string[];
  /** For each setting that is not at its default: the flag or variable (by its old name, if that was used) that it came from. */
  sources: ReadonlyMap<string, string>;
}

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;
/** Values of flags as they were written, by the flag's name without dashes. */
export type Flags = Readonly<Record<string, string | undefined>>;
