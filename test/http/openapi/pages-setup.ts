/** Shared functions of the tests of pages. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { startServer } from '../../support/product/server.ts';

export interface Described {
  description: string;
  schema: Record<string, unknown>;
}

export interface Reply {
  description: string;
  content?: Record<string, { schema: Record<string, unknown> }>;
  headers: Record<string, Described>;
}

export interface Operation {
  responses: Record<string, Reply>;
  'x-error-codes'?: Record<string, string[]>;
  requestBody?: { content: Record<string, unknown> };
  parameters?: (Described & { name: string; in: string; required?: boolean; example?: unknown })[];
  security?: unknown[];
}

export interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, unknown>;
    responses: Record<string, Reply>;
    headers: Record<string, Described>;
  };
}

/** The document with its shared replies resolved. */
export async function documentOf(t: TestContext): Promise<Document> {
  const { origin } = await startServer(t);
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as Document;
  for (const operation of Object.values(document.paths).flatMap((item) => Object.values(item))) {
    for (const [status, reply] of Object.entries(operation.responses)) {
      const name = (reply as { $ref?: string }).$ref?.split('/').at(-1);
      const shared = name === undefined ? reply : document.components.responses[name];
      assert.ok(shared, `${status}: ${name} is nowhere`);
      operation.responses[status] = shared;
    }
  }
  return document;
}

export const RATES = ['RateLimit', 'RateLimit-Policy'];
