/**
 * Estimates how many guesses a password takes with zxcvbn: words, names and passwords of many languages, keyboard patterns, dates,
 * repetitions and letter substitutions. Loading its dictionaries takes a third of a second and 60 MB, and the worst password takes a
 * tenth of a second, so the server runs it in a thread (`workers/strength.ts`) that ends when it is idle.
 */
import { createRequire } from 'node:module';
import type { ZxcvbnFactory, ZxcvbnResult } from '@zxcvbn-ts/core';

/** Characters that the estimator examines. Its time grows with the length, and further characters only add guesses. */
export const MAX_EXAMINED = 64;
/** Substituted characters that the estimator tries together. */
const MAX_SUBSTITUTIONS = 16;

/** A password to estimate. */
export interface StrengthTask {
  password: string;
  /** Words that belong to the person, such as names and addresses. */
  words: string[];
}

/** The result of an estimate. */
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
    maxLength: MAX_EXAMINED,
    l33tMaxSubstitutions: MAX_SUBSTITUTIONS,
  } as ConstructorParameters<typeof ZxcvbnFactory>[0]);
  return ({ password, words }) => {
    const { guesses, feedback }: ZxcvbnResult = zxcvbn.check(password, words);
    return { guesses, warning: feedback.warning };
  };
}
