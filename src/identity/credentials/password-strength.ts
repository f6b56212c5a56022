/**
 * Estimates how many guesses a password takes with zxcvbn: words, names and passwords of many languages, keyboard patterns, dates,
 * repetitions and letter substitutions. Loading its dictionaries takes a third of a second and 60 MB, and a hostile password a tenth of
 * a second, so the server runs it in a thread (`workers/strength.ts`) that ends when idle.
 */
import { createRequire } from 'node:module';
import type { ZxcvbnFactory, ZxcvbnResult } from '@zxcvbn-ts/core';

/** Number of characters that the estimator examines: its time grows with the length, and further characters only add guesses. */
export const LOOKED_AT = 64;
/** Substituted characters that are tried together. */
const MAX_SUBSTITUTIONS = 16;

export interface StrengthTask {
  password: string;
  /** Words that belong to the person: names, addresses. */
  words: string[];
}

export interface Strength {
  /** Expected number of guesses. */
  guesses: number;
  /** A sentence about the weakness; null if the estimator has none. */
  warning: string | null;
}

export type Estimator = (task: StrengthTask) => Strength;

/** Loads the dictionaries synchronously, in this thread. */
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
