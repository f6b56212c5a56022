/** What a setting is: its names, the kind of its value, its default and its bounds. */
import type { Compat } from './compat.ts';

/** How the text of a setting is read, and what type it becomes. */
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
  /** `sip:user@host`, with a port if need be. */
  sip: string | null;
  guarded: readonly ('downloads' | 'share')[];
  compat: Compat;
}

export type Kind = keyof KindTypes;

export interface Setting {
  /** Key in `Config`. */
  readonly name: string;
  readonly env: string;
  /** Without the dashes. */
  readonly flag: string;
  readonly kind: Kind;
  /** As a person would write it; null: none. */
  readonly default: string | null;
  readonly help: string;
  /** For secrets: a password must be hard to guess; a key needs as many bytes as the algorithm that it is for. */
  readonly strength?: 'password' | 'key';
  /** Bounds of the kinds `int` and `size`, inclusive. */
  readonly min?: number;
  readonly max?: number;
}

type Extra = Pick<Setting, 'strength' | 'min' | 'max'> & { env?: string };

/**
 * One row of the table of settings. The variable and the flag follow from the name: `dataDir` is `LADING_DATA_DIR` and `--data-dir`.
 * @param fallback the default as a person would write it; null: no default
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
