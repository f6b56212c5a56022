/**
 * How many guesses a password takes, by a maintained estimator (zxcvbn): words, names and passwords of many languages, keyboards, dates,
 * repetitions and what people write for letters. Loading its dictionaries takes a third of a second and 60 MB, and a hostile password a
 * tenth of a second, so the server asks a thread for it (`workers/strength.ts`), which ends when nobody asks.
 */
import { createRequire } from 'node:module';
import type { ZxcvbnFactory, ZxcvbnResult } from '@zxcvbn-ts/core';

/** Characters that are looked at: what is behind them only adds to the guesses, and the time grows with the length. */
export const LOOKED_AT = 64;
/** Letters that may stand for others, tried together. */
const MAX_SUBSTITUTIONS = 16;

export interface StrengthTask {
  password: string;
  /** What belongs to whoever chooses it, in words. */
  words: string[];
}

export interface Strength {
  /** That are needed on average. */
  guesses: number;
  /** What is wrong with it, in a sentence; null where there is nothing to say. */
  warning: string | null;
}

export type Estimator = (task: StrengthTask) => Strength;

/** Loads the dictionaries, at once and in this thread. */
export function loadEstimator(): Estimator {
  const require = createRequire(import.meta.url);
  const core = require('@zxcvbn-ts/core') as { ZxcvbnFactory: typeof ZxcvbnFactory };
  const common = require('@zxcvbn-ts/language-common') as Record<string, object>;
  const en = require('@zxcvbn-ts/language-en') as Record<string, object>;
  const zxcvbn = new core.ZxcvbnFactory({
    dictionary: { ...common.dictionary, ...en.dictionary },
    graphs: common.adjacencyGraphs,
    translations: en.translations,
    maxLength: LOOKED_AT,
    l33tMaxSubstitutions: MAX_SUBSTITUTIONS,
  } as ConstructorParameters<typeof ZxcvbnFactory>[0]);
  return ({ password, words }) => {
    const { guesses, feedback }: ZxcvbnResult = zxcvbn.check(password, words);
    return { guesses, warning: feedback.warning };
  };
}
