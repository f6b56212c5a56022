/** The definition of a setting: names, kind of value, default and bounds. */
import type { Compat } from './compat.ts';

/** The kinds of settings, with the types of their parsed values. */
export interface KindTypes {
  text: string;
  name: string | null;
  secret: string | null;
  path: string;
  file: string | null;
  id: string | null;
  int: number;
  size: number;
  cron: string;
  durability: 'chunk' | 'seal';
  storage: 'disk' | 'lmdb';
  level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  proxies: readonly string[];
  /** Scheme, host, port and path, without a slash at the end. */
  site: string | null;
  /** Scheme, host and port. */
  origin: string | null;
  url: string | null;
  /** Origins of pages: scheme, host and port, or `*`. */
  origins: readonly string[];
  registration: 'open' | 'closed';
  algorithm: 'HS256' | 'EdDSA' | 'RS256';
  switch: 'on' | 'off';
  voice: 'off' | 'console' | 'http' | 'sip';
  /** `sip:user@host`, optionally with a port. */
  sip: string | null;
  guarded: readonly ('downloads' | 'share')[];
  compat: Compat;
}

/** The kind of a setting, which selects its parser. */
export type Kind = keyof KindTypes;

/** One setting of the server. */
export interface Setting {
  /** Key in `Config`. */
  readonly name: string;
  /** Name of the environment variable. */
  readonly env: string;
  /** Name of the flag, without dashes. */
  readonly flag: string;
  readonly kind: Kind;
  /** The text of the default; null: no default. */
  readonly default: string | null;
  /** One line for `--help` and docs/settings.md. */
  readonly help: string;
  /** For secrets: a password must be hard to guess; a key must have 32 bytes or more. */
  readonly strength?: 'password' | 'key';
  /** Bounds of the kinds `int` and `size`, inclusive. */
  readonly min?: number;
  readonly max?: number;
}

type Extra = Pick<Setting, 'strength' | 'min' | 'max'> & { env?: string };

/**
 * Defines a setting. Its variable and flag follow from its name: `dataDir` is `LADING_DATA_DIR` and `--data-dir`.
 * @param fallback the text of the default; null: no default
 */
export function setting<const Name extends string, const K extends Kind>(
  name: Name,
  kind: K,
  fallback: string | null,
  help: string,
  { env, ...bounds }: Extra = {},
): Setting & { readonly name: Name; readonly kind: K } {
  const words = name.replace(/[A-Z]/g, (letter) => `_${letter}`);
  return {
    ...{ name, kind, help, default: fallback, ...bounds },
    env: env ?? `LADING_${words.toUpperCase()}`,
    flag: words.replaceAll('_', '-').toLowerCase(),
  };
}
