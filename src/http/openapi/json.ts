/** An object of the OpenAPI document, which is plain JSON. */
export type Json = Record<string, unknown>;

/** True for an object that is not an array. */
export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
