/** The OpenAPI document of a running server, as tests that go over every route read it. */

type Json = Record<string, unknown>;

export interface Operation {
  /** `GET /api/files` */
  name: string;
  method: string;
  path: string;
  /** Scopes or the role that a token needs; empty: any principal. Null: no token. */
  needs: string[] | null;
  /** Names of header fields that have a meaning. */
  fields: string[];
  /** Parameters of the query. */
  parameters: { name: string; required: boolean; schema: Json }[];
  /** Schema of a JSON body, with references resolved; null without one. */
  body: Json | null;
  /** Schemas of the body by media type, with references resolved. */
  content: Record<string, Json>;
  required: boolean;
}

/** A number of a request. */
export interface NumberInput {
  place: 'query' | 'body';
  name: string;
  schema: Json;
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete'];

/** Every operation of the document. */
export async function operationsOf(origin: string): Promise<Operation[]> {
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as Json;
  const found: Operation[] = [];
  for (const [path, methods] of Object.entries(document.paths as Record<string, Json>)) {
    for (const [method, value] of Object.entries(methods)) {
      if (!METHODS.includes(method)) continue;
      found.push(operationOf(document, method.toUpperCase(), path, value as Json));
    }
  }
  return found;
}

function operationOf(document: Json, method: string, path: string, operation: Json): Operation {
  const parameters = (operation.parameters ?? []) as { in: string; name: string; required?: boolean; schema: Json }[];
  const security = (operation.security ?? document.security ?? []) as Record<string, string[]>[];
  const bearer = security.find((one) => 'bearer' in one);
  const content = ((operation.requestBody as Json | undefined)?.content ?? {}) as Record<string, { schema: Json }>;
  const json = content['application/json']?.schema;
  return {
    name: `${method} ${path}`,
    method,
    path,
    needs: bearer?.bearer ?? null,
    fields: parameters.filter((one) => one.in === 'header').map(({ name }) => name),
    parameters: parameters
      .filter((one) => one.in === 'query')
      .map(({ name, required = false, schema }) => ({ name, required, schema })),
    body: json === undefined ? null : resolved(document, json),
    content: Object.fromEntries(Object.entries(content).map(([type, one]) => [type, resolved(document, one.schema)])),
    required: (operation.requestBody as Json | undefined)?.required === true,
  };
}

/** The schema itself, where a reference to it stands. */
export function resolved(document: Json, schema: Json): Json {
  const reference = schema.$ref;
  if (typeof reference !== 'string') return schema;
  let found: unknown = document;
  for (const key of reference.replace(/^#\//, '').split('/')) found = (found as Json)[key];
  return resolved(document, found as Json);
}

/** The numbers that a request of this operation may hold. */
export function numbersOf({ parameters, body }: Operation): NumberInput[] {
  const query = parameters.map(({ name, schema }): NumberInput => ({ place: 'query', name, schema }));
  const properties = Object.entries((body?.properties ?? {}) as Record<string, Json>);
  const inBody = properties.map(([name, schema]): NumberInput => ({ place: 'body', name, schema }));
  return [...query, ...inBody].filter(({ schema }) => {
    return [schema.type].flat().some((type) => type === 'integer' || type === 'number');
  });
}

/** What can be asked for without knowing any id: lists and reports. */
export function listsOf(operations: readonly Operation[]): Operation[] {
  const open = ['/v1/auth/', '/api/events', '/ready'];
  return operations.filter(({ method, path, parameters }) => {
    const asked = !path.includes('{') && !parameters.some(({ required }) => required);
    return method === 'GET' && asked && path !== '/logout' && !open.some((start) => path.startsWith(start));
  });
}
