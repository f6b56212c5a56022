/** Estimates the strength of passwords in a separate thread (`src/identity/credentials/password-strength.ts`). */
import { loadEstimator, type Strength, type StrengthTask } from '../src/identity/credentials/password-strength.ts';

const estimate = loadEstimator();

export default function strength(task: StrengthTask): Strength {
  return estimate(task);
}
