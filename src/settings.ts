/** Every setting of the server, in one table: parsing, `--help` and docs/settings.md come from it. */
import { BASICS } from './settings/table/basics.ts';
import { CALLS } from './settings/table/calls.ts';
import { DELIVERY } from './settings/table/delivery.ts';
import { LIMITS } from './settings/table/limits.ts';
import { NETWORK } from './settings/table/network.ts';
import { RUNNING } from './settings/table/running.ts';
import { TOKENS } from './settings/table/tokens.ts';
import { UPLOADS } from './settings/table/uploads.ts';

export type { Kind, KindTypes, Setting } from './settings/setting.ts';

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
