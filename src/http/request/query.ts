/**
 * Parses queries strictly: percent-encoded UTF-8, every parameter once. The parser must not throw, because the router calls it. So it
 * returns an error in place of the query, which the validator reports.
 */

import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { LadingError } from '../../errors.ts';
import { MAX_COUNT, wholeNumber } from '../../protocol/bounds.ts';
import { unknownKeys, unknownNames } from './unknown-keys.ts';

type Query = Record<string, unknown>;

class Malformed {
  readonly error: LadingError;

  constructor(error: LadingError) {
    this.error = error;
  }
}

/** Fastify's `querystringParser`. */
export function parseQuery(text: string): Query {
  const query: Query = Object.create(null) as Query;
  if (text === '') return query;
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decode(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1));
    if (key === null || value === null) return malformed(encodingError(key));
    if (key in query) {
      return malformed(
        new LadingError(
          'invalid_request',
          `The parameter ${JSON.stringify(key.slice(0, 40))} is repeated. Send it once.`,
        ),
      );
    }
    query[key] = value;
  }
  return query;
}

/** Wraps an error as a query, so that it passes through the router; only `queryValidator` reads it. */
function malformed(error: LadingError): Query {
  return new Malformed(error) as unknown as Query;
}

function encodingError(key: string | null): LadingError {
  const what = 'is not percent-encoded UTF-8.';
  if (key === 'filename') return new LadingError('invalid_name', `The file name ${what}`);
  return new LadingError('invalid_request', key === null ? `The query ${what}` : `A parameter ${what}`);
}

/** Percent-decoding with `+` as a space (form encoding, as client libraries use it); null if it is not UTF-8. */
function decode(text: string): string | null {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return null;
  }
}

type Check = (text: string) => unknown;

interface Property {
  type?: string;
  enum?: readonly string[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  default?: unknown;
}

/** Returns a function that parses one parameter or throws an error. */
function checkOf(name: string, property: Property): Check {
  const wrong = (what: string): LadingError =>
    new LadingError('invalid_request', `The parameter ${name} must be ${what}.`);
  const { minimum = 0, maximum = MAX_COUNT, enum: words } = property;
  if (property.type === 'integer') {
    return (text) => {
      const number = wholeNumber(text, minimum, maximum);
      if (number === null) throw wrong(`a whole number from ${minimum} to ${maximum}`);
      return number;
    };
  }
  if (property.type === 'boolean') {
    return (text) => {
      if (text !== 'true' && text !== 'false') throw wrong('true or false');
      return text === 'true';
    };
  }
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = property;
  return (text) => {
    if (text.length < minLength || text.length > maxLength) throw wrong(`${minLength} to ${maxLength} characters`);
    if (words && !words.includes(text)) throw wrong(words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`);
    return text;
  };
}

interface ObjectSchema {
  properties?: Record<string, Property>;
  required?: readonly string[];
  additionalProperties?: unknown;
}

/**
 * Returns a validator for queries of this schema. It does not coerce: `1e3`, `0x10`, `" 5"` and the empty string are not integers. Unknown
 * parameters are refused if the schema is closed, and dropped otherwise.
 */
function queryValidator(schema: ObjectSchema): (query: unknown) => { value: Query } | { error: LadingError } {
  const required = new Set(schema.required);
  const known = Object.keys(schema.properties ?? {});
  const names = new Set(known);
  const isClosed = schema.additionalProperties === false;
  const checks = Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    check: checkOf(name, property),
    fallback: property.default,
    required: required.has(name),
  }));
  return (query) => {
    if (query instanceof Malformed) return { error: query.error };
    const given = query as Query;
    const value: Query = {};
    if (isClosed) {
      const unknown = Object.keys(given).filter((name) => !names.has(name));
      if (unknown.length > 0) return { error: unknownNames('query parameter', unknown, known) };
    }
    try {
      for (const { name, check, fallback, required } of checks) {
        const text = given[name];
        if (typeof text === 'string') value[name] = check(text);
        else if (required) throw new LadingError('validation_failed', `The query parameter ${name} is missing.`);
        else if (fallback !== undefined) value[name] = fallback;
      }
    } catch (error) {
      if (error instanceof LadingError) return { error };
      throw error;
    }
    return { value };
  };
}

/** Reports unknown keys before any other error. */
const bodyValidator: FastifySchemaCompiler<TSchema> = (route) => {
  const check = TypeBoxValidatorCompiler(route);
  return (value) => {
    const found = unknownKeys(route.schema, value);
    return found ? { error: unknownNames('key', found.unknown, found.known) } : check(value);
  };
};

/** Validates queries with `queryValidator` and bodies with TypeBox. Path parameters are strings that the routes check themselves. */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = (route) => {
  if (route.httpPart === 'querystring') return queryValidator(route.schema as ObjectSchema);
  if (route.httpPart === 'params') return (value) => ({ value });
  return bodyValidator(route);
};
