import { MAX_COUNT, writableTime } from '../../protocol/bounds.ts';

/** Told in words what was put right while a document was read. */
export type OnMended = (words: string) => void;

/** Reads fields of a parsed JSON document; throws an Error that names the field. */
export class Fields {
  readonly #value: object;
  readonly #onMended: OnMended | null;

  /** @param onMended told of numbers that are out of bounds and are taken as the nearest one; without it they are errors */
  constructor(value: unknown, onMended: OnMended | null = null) {
    this.#onMended = onMended;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON object');
    this.#value = value;
  }

  text(name: string): string {
    const value = this.#get(name);
    if (typeof value !== 'string') throw new Error(`"${name}" is not a string`);
    return value;
  }

  /** A whole number from 0. */
  count(name: string): number {
    const value = this.#get(name);
    if (isCount(value)) return value;
    if (this.#onMended === null) throw new Error(`"${name}" is not a count`);
    const nearest = typeof value === 'number' && value > 0 ? Math.min(Math.round(value), MAX_COUNT) : 0;
    this.#onMended(`"${name}" is ${JSON.stringify(value)}, which is no count; it is taken as ${nearest}`);
    return nearest;
  }

  /**
   * A bound that somebody set, as `count`; null: none was. What is no number, or below 0, is none: taken as 0 it would be one that means
   * something else.
   */
  limitOrNull(name: string): number | null {
    const value = this.#get(name);
    if (value === null || (typeof value === 'number' && value >= 0)) return this.countOrNull(name);
    if (this.#onMended === null) throw new Error(`"${name}" is not a limit`);
    this.#onMended(`"${name}" is ${JSON.stringify(value)}, which is no limit; the server's own counts`);
    return null;
  }

  /** A moment that can be written, in milliseconds since the epoch. */
  time(name: string): number {
    const value = this.count(name);
    if (writableTime(value) !== value) throw new Error(`"${name}" is not a time`);
    return value;
  }

  timeOrNull(name: string): number | null {
    return this.isNull(name) ? null : this.time(name);
  }

  /** Any number from 0. */
  amount(name: string): number {
    const value = this.#get(name);
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw new Error(`"${name}" is not an amount`);
    return value;
  }

  oneOf<const T extends string>(name: string, values: readonly T[]): T {
    const value = this.#get(name);
    const found = values.find((v) => v === value);
    if (found === undefined) throw new Error(`"${name}" is none of ${values.join(', ')}`);
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

  /** A list of words, each of them known. */
  words<const T extends string>(name: string, known: readonly T[]): T[] {
    return this.#array(name).map((value) => {
      const found = known.find((word) => word === value);
      if (found === undefined) throw new Error(`"${name}" holds something else than ${known.join(', ')}`);
      return found;
    });
  }

  texts(name: string): string[] {
    return this.#array(name).map((value) => {
      if (typeof value !== 'string') throw new Error(`"${name}" holds something else than text`);
      return value;
    });
  }

  /** A list of whole numbers from 0. */
  counts(name: string): number[] {
    return this.#array(name).map((value) => {
      if (!Number.isSafeInteger(value) || Number(value) < 0)
        throw new Error(`"${name}" holds something else than counts`);
      return Number(value);
    });
  }

  /** A list of two whole numbers from 0 each. */
  pairs(name: string): [number, number][] {
    return this.#array(name).map((value) => {
      const [first, second, ...more] = Array.isArray(value) ? (value as unknown[]) : [];
      const counts = [first, second].every((one) => Number.isSafeInteger(one) && Number(one) >= 0);
      if (!counts || more.length > 0) throw new Error(`"${name}" holds something else than pairs of counts`);
      return [Number(first), Number(second)];
    });
  }

  /** A list of objects. */
  list(name: string): Fields[] {
    return this.#array(name).map((value) => new Fields(value, this.#onMended));
  }

  fields(name: string): Fields {
    return new Fields(this.#get(name), this.#onMended);
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

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
