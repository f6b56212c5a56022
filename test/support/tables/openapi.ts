/** Reads the operations of the OpenAPI document of a running server. */

type Json = Record<string, unknown>;

export interface Operation {
  /** `GET /api/files` */
  name: string;
  method: string;
  path: string;
  /** The scopes or role that a token needs; empty for any principal, null if no token is needed. */
  needs: string[] | null;
  /** Names of the header parameters. */
  fields: string[];
  /** Parameters of the query. */
  parameters: { name: string; required: boolean; schema: Json }[];
  /** Schema of a JSON body, with references resolved; null without one. */
  body: Json | null;
  /** Schemas of the body by media type, with references resolved. */
  content: Record<string, Json>;
  required: boolean;
}

/** A numeric input of an operation. */
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

/** Resolves a schema that is a reference. */
export function resolved(document: Json, schema: Json): Json {
  const reference = schema.$ref;
  if (typeof reference !== 'string') return schema;
  let found: unknown = document;
  for (const key of reference.replace(/^#\//, '').split('/')) found = (found as Json)[key];
  return resolved(document, found as Json);
}

/** The numeric parameters and body members of an operation. */
export function numbersOf({ parameters, body }: Operation): NumberInput[] {
  const query = parameters.map(({ name, schema }): NumberInput => ({ place: 'query', name, schema }));
  const properties = Object.entries((body?.properties ?? {}) as Record<string, Json>);
  const inBody = properties.map(([name, schema]): NumberInput => ({ place: 'body', name, schema }));
  return [...query, ...inBody].filter(({ schema }) => {
    return [schema.type].flat().some((type) => type === 'integer' || type === 'number');
  });
}

/** Lists and reports, which need no id and no parameter. */
export function listsOf(operations: readonly Operation[]): Operation[] {
  const open = ['/v1/auth/', '/api/events', '/ready'];
  return operations.filter(({ method, path, parameters }) => {
    const isPlain = !path.includes('{') && !parameters.some(({ required }) => required);
    return method === 'GET' && isPlain && path !== '/logout' && !open.some((start) => path.startsWith(start));
  });
}
