/** The table of all settings of the server. Parsing, `--help` and docs/settings.md are derived from it. */
import { BASICS } from './table/basics.ts';
import { CALLS } from './table/calls.ts';
import { DELIVERY } from './table/delivery.ts';
import { LIMITS } from './table/limits.ts';
import { NETWORK } from './table/network.ts';
import { RUNNING } from './table/running.ts';
import { TOKENS } from './table/tokens.ts';
import { UPLOADS } from './table/uploads.ts';

export type { Kind, KindTypes, Setting } from './setting.ts';

export const SETTINGS = [
  ...BASICS,
  ...TOKENS,
  ...UPLOADS,
  ...LIMITS,
  ...NETWORK,
  ...DELIVERY,
  ...CALLS,
  ...RUNNING,
] as const;
