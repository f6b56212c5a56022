/** Reads fields of a parsed JSON document; throws an Error that names the field. */
export class Fields {
  readonly #value: object;

  constructor(value: unknown) {
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
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw new Error(`"${name}" is not a count`);
    return value;
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
    return this.#array(name).map((value) => new Fields(value));
  }

  fields(name: string): Fields {
    return new Fields(this.#get(name));
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
