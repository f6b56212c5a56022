/** Checks replies against the OpenAPI document: status and media type are documented, and JSON fits its schema. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

type Json = Record<string, unknown>;

export interface Answer {
  method: string;
  status: number;
  /** Media type with parameters; empty without one. */
  type: string;
  /** Null if it was not recorded. */
  body: string | null;
}

interface Validator {
  Check(value: unknown): boolean;
  Errors(value: unknown): { instancePath: string; message: string }[];
}

/** Statuses that depend on the request and not on the operation; the document describes them once for all. */
const EVERYWHERE = new Set([405]);

export class OpenApiChecker {
  readonly #document: Json;
  readonly #paths: Record<string, Json>;
  readonly #patterns: { pattern: RegExp; path: string; fixed: number }[];
  readonly #validators = new Map<unknown, Validator>();

  constructor(document: object) {
    this.#document = document as Json;
    this.#paths = this.#document.paths as Record<string, Json>;
    this.#patterns = Object.keys(this.#paths).map((path) => ({ path, pattern: patternOf(path), fixed: fixedOf(path) }));
  }

  /** The documented path of a request target; null if it does not exist. */
  pathOf(target: string): string | null {
    const path = target.split('?', 1)[0] ?? '';
    const fitting = this.#patterns.filter(({ pattern }) => pattern.test(path)).sort((a, b) => b.fixed - a.fixed);
    return fitting[0]?.path ?? null;
  }

  /** Describes how a reply differs from the document; null if it does not, or if the document does not cover it. */
  fault(path: string, answer: Answer): string | null {
    const { method, status, type, body } = answer;
    const methods = this.#paths[path];
    const operation = (methods?.[method.toLowerCase()] ?? (method === 'HEAD' ? methods?.get : undefined)) as
      | Json
      | undefined;
    if (!operation || status < 200 || EVERYWHERE.has(status)) return null;
    const where = `${method} ${path}: ${status}`;
    const reply = this.#resolved((operation.responses as Json)[String(status)]);
    if (!reply) return `${where} is not documented: ${body ?? ''}`;
    if (method === 'HEAD' || status === 304) return null;
    const essence = (type.split(';', 1)[0] ?? '').trim().toLowerCase();
    const content = reply.content as Record<string, { schema?: Json }> | undefined;
    if (content === undefined)
      return body ? `${where} has a body, and none is documented: ${body.slice(0, 200)}` : null;
    if (body === '') return null;
    const media = content[essence] ?? content[`${essence.split('/')[0]}/*`] ?? content['*/*'];
    if (!media) return `${where} has the media type ${type}, documented are ${Object.keys(content).join(', ')}`;
    if (body === null || !media.schema || !/^application\/(?:.*\+)?json$/.test(essence)) return null;
    const value: unknown = JSON.parse(body);
    const codes = (operation['x-error-codes'] as Record<string, string[]> | undefined)?.[String(status)];
    if (codes && essence === 'application/problem+json' && !codes.includes(String((value as Json).code))) {
      return `${where} is documented with ${codes.join(', ')}: ${body.slice(0, 400)}`;
    }
    const errors = this.#errors(media.schema, value);
    return errors === null ? null : `${where} does not fit its schema: ${errors} in ${body.slice(0, 400)}`;
  }

  #errors(schema: Json, value: unknown): string | null {
    let validator = this.#validators.get(schema);
    if (!validator) {
      validator = Compile(this.#inlined(schema) as TSchema) as unknown as Validator;
      this.#validators.set(schema, validator);
    }
    if (validator.Check(value)) return null;
    const found = validator.Errors(value).slice(0, 3);
    return found.map(({ instancePath, message }) => `${instancePath} ${message}`).join('; ');
  }

  #resolved(node: unknown): Json | null {
    if (typeof node !== 'object' || node === null) return null;
    const reference = (node as Json).$ref;
    if (typeof reference !== 'string') return node as Json;
    let found: unknown = this.#document;
    for (const key of reference.replace(/^#\//, '').split('/')) found = (found as Json)[key];
    return this.#resolved(found);
  }

  /** The schema with all references resolved. */
  #inlined(node: unknown): unknown {
    if (Array.isArray(node)) return node.map((item) => this.#inlined(item));
    if (typeof node !== 'object' || node === null) return node;
    const whole = this.#resolved(node) ?? {};
    return Object.fromEntries(Object.entries(whole).map(([key, value]) => [key, this.#inlined(value)]));
  }
}

/** `{filename}` at the end is the rest of the path, any other parameter one segment. */
function patternOf(path: string): RegExp {
  const parts = path.split(/(\{[^}]+\})/).map((part, index, all) => {
    if (!part.startsWith('{')) return part.replaceAll(/[.+?^${}()|[\]\\*]/g, '\\$&');
    return part === '{filename}' && index >= all.length - 2 ? '.*' : '[^/]+';
  });
  return new RegExp(`^${parts.join('')}$`);
}

function fixedOf(path: string): number {
  return path.replaceAll(/\{[^}]+\}/g, '').length;
}

/** The documented path of a route, by the URL that it was registered with. */
export function documentedPath(url: string): string {
  return url.replace(/\*$/, '{filename}').replaceAll(/:([A-Za-z_]+)/g, '{$1}');
}
