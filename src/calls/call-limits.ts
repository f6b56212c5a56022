/** How many calls may be placed: per number and hour, per caller and hour, and per day. */
import type { Clock } from '../contracts/clock.ts';
import { LadingError } from '../errors.ts';
import type { CallDocument } from '../records/calls.ts';

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;

/** Maximum number of calls; 0 means unlimited. */
export interface CallLimits {
  phoneHour: number;
  callerHour: number;
  day: number;
}

/** A call that was requested. */
interface PastCall {
  ageMs: number;
  phone: string;
  caller: string;
}

/**
 * Checks that one more call fits into the limits.
 * @param calls every call that is remembered
 * @throws LadingError `rate_limited`
 */
export function checkCallLimits(
  calls: Iterable<CallDocument>,
  { caller, phone }: Pick<CallDocument, 'caller' | 'phone'>,
  { phoneHour, callerHour, day }: CallLimits,
  clock: Clock,
): void {
  const past: PastCall[] = [];
  for (const call of calls) {
    for (const at of call.spokenAt) past.push({ ageMs: clock.passed(at), phone: call.phone, caller: call.caller });
  }
  const toPhone = past.filter((call) => call.phone === phone);
  const phoneWait = waitMs(phoneHour, HOUR_MS, toPhone);
  if (phoneWait !== null) throw tooManyCalls('This number was called too often', phoneWait);
  const byCaller = past.filter((call) => call.caller === caller);
  const callerWait = waitMs(callerHour, HOUR_MS, byCaller);
  if (callerWait !== null) throw tooManyCalls('You requested too many calls', callerWait);
  const dayWait = waitMs(day, DAY_MS, past);
  if (dayWait !== null) throw tooManyCalls('This server has reached its daily limit of calls', dayWait);
}

/** Milliseconds until one more call fits into the window; null when it fits now. */
function waitMs(max: number, windowMs: number, calls: readonly PastCall[]): number | null {
  if (max === 0) return null;
  const ages = calls.map(({ ageMs }) => ageMs).filter((ageMs) => ageMs < windowMs);
  if (ages.length < max) return null;
  ages.sort((a, b) => b - a);
  return windowMs - (ages[ages.length - max] ?? 0);
}

/** The error `rate_limited`. @param what a sentence without its full stop */
export function tooManyCalls(what: string, wait: number): LadingError {
  const seconds = Math.max(1, Math.ceil(wait / 1000));
  return new LadingError('rate_limited', `${what}; try again in ${seconds} seconds.`, { retry_after: seconds });
}
