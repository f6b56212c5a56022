/** Typed access to the fields of stored JSON documents. */
import { MAX_COUNT, writableTime } from '../../protocol/bounds.ts';

/** Called with a description of a value that was corrected while its document was read. */
export type OnCorrected = (words: string) => void;

/** Reads fields of a parsed JSON document. Every method throws an Error that names the field if it is missing or invalid. */
export class Fields {
  readonly #value: object;
  readonly #onCorrected: OnCorrected | null;

  /** @param onCorrected called for numbers out of range, which are replaced with the nearest valid ones; without it they are errors */
  constructor(value: unknown, onCorrected: OnCorrected | null = null) {
    this.#onCorrected = onCorrected;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON object');
    this.#value = value;
  }

  text(name: string): string {
    const value = this.#get(name);
    if (typeof value !== 'string') throw new Error(`"${name}" is not a string`);
    return value;
  }

  /** A non-negative integer. */
  count(name: string): number {
    const value = this.#get(name);
    if (isCount(value)) return value;
    if (this.#onCorrected === null) throw new Error(`"${name}" is not a count`);
    const nearest = typeof value === 'number' && value > 0 ? Math.min(Math.round(value), MAX_COUNT) : 0;
    this.#onCorrected(`"${name}" is ${JSON.stringify(value)}, which is not a count; ${nearest} is used instead`);
    return nearest;
  }

  /**
   * A limit, read like `count`; null: not set. A corrected value that is not a number, or is negative, becomes null rather than 0,
   * because 0 means something else.
   */
  limitOrNull(name: string): number | null {
    const value = this.#get(name);
    if (value === null || (typeof value === 'number' && value >= 0)) return this.countOrNull(name);
    if (this.#onCorrected === null) throw new Error(`"${name}" is not a limit`);
    this.#onCorrected(`"${name}" is ${JSON.stringify(value)}, which is not a limit; the server's own limit applies`);
    return null;
  }

  /** A time that ISO 8601 can express, in milliseconds since the epoch. */
  time(name: string): number {
    const value = this.count(name);
    if (writableTime(value) !== value) throw new Error(`"${name}" is not a time`);
    return value;
  }

  timeOrNull(name: string): number | null {
    return this.isNull(name) ? null : this.time(name);
  }

  /** A non-negative number. */
  amount(name: string): number {
    const value = this.#get(name);
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw new Error(`"${name}" is not an amount`);
    return value;
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T {
    const value = this.#get(name);
    const found = values.find((v) => v === value);
    if (found === undefined) throw new Error(`"${name}" is not one of ${values.join(', ')}`);
    return found;
  }

  textOrNull(name: string): string | null {
    return this.isNull(name) ? null : this.text(name);
  }

  countOrNull(name: string): number | null {
    return this.isNull(name) ? null : this.count(name);
  }

  isNull(name: string): boolean {
    return this.#get(name) === null;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#value, name);
  }

  /** A list of strings, each one of `known`. */
  words<const T extends string>(name: string, known: readonly T[]): T[] {
    return this.#array(name).map((value) => {
      const found = known.find((word) => word === value);
      if (found === undefined) throw new Error(`"${name}" holds something other than ${known.join(', ')}`);
      return found;
    });
  }

  texts(name: string): string[] {
    return this.#array(name).map((value) => {
      if (typeof value !== 'string') throw new Error(`"${name}" holds something other than strings`);
      return value;
    });
  }

  /** A list of non-negative integers. */
  counts(name: string): number[] {
    return this.#array(name).map((value) => {
      if (!Number.isSafeInteger(value) || Number(value) < 0)
        throw new Error(`"${name}" holds something other than counts`);
      return Number(value);
    });
  }

  /** A list of pairs of non-negative integers. */
  pairs(name: string): [number, number][] {
    return this.#array(name).map((value) => {
      const [first, second, ...more] = Array.isArray(value) ? (value as unknown[]) : [];
      const counts = [first, second].every((one) => Number.isSafeInteger(one) && Number(one) >= 0);
      if (!counts || more.length > 0) throw new Error(`"${name}" holds something other than pairs of counts`);
      return [Number(first), Number(second)];
    });
  }

  /** A list of objects. */
  list(name: string): Fields[] {
    return this.#array(name).map((value) => new Fields(value, this.#onCorrected));
  }

  fields(name: string): Fields {
    return new Fields(this.#get(name), this.#onCorrected);
  }

  #array(name: string): unknown[] {
    const value = this.#get(name);
    if (!Array.isArray(value)) throw new Error(`"${name}" is not a list`);
    return value;
  }

  #get(name: string): unknown {
    if (!Object.hasOwn(this.#value, name)) throw new Error(`"${name}" is missing`);
    return Reflect.get(this.#value, name);
  }
}

/**
 * Opens a document that is stored under a key.
 * @param keyField the field that must equal the key
 * @throws Error if `value` is not an object, or its key field differs from `key`
 */
export function documentFields(value: unknown, keyField: string, key: string, onCorrected?: OnCorrected): Fields {
  const fields = new Fields(value, onCorrected);
  if (fields.text(keyField) !== key) throw new Error(`"${keyField}" belongs to another document`);
  return fields;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
