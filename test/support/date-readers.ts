/** Finds code that reads the date of the machine. It searches the syntax tree, so comments, strings and patterns do not match. */
import { parseAst } from 'vite';

interface Node {
  type: string;
  name?: string;
  computed?: boolean;
  operator?: string;
  value?: unknown;
  key?: Node;
  object?: Node;
  property?: Node;
  callee?: Node;
  right?: Node;
  arguments?: Node[];
  quasis?: { value: { cooked: string | null } }[];
}

/** Names of the global object. */
const GLOBALS: ReadonlySet<string> = new Set(['globalThis', 'global', 'window', 'self']);
/** The times among the members of `fs.Stats`. */
const FILE_DATE = /^(?:[amc]|birth)time(?:Ms|Ns)?$/;

/** The language of a source file, because `<T>(x: T) => x` is a function in `ts` and an element in `tsx`. */
export type Language = 'ts' | 'tsx';

/** True for a source that reads the current date or time in any form. */
export function readsDate(text: string, lang: Language): boolean {
  return some(text, lang, (node, parent, above) => {
    if (node.type === 'Identifier' && node.name === 'Date') return !isTimeless(node, parent, above);
    if (node.type === 'Identifier' && (node.name === 'timeOrigin' || node.name === 'Temporal')) return true;
    if (node.type === 'MemberExpression' && node.computed && node.property) {
      const named = textOf(node.property);
      return named === 'timeOrigin' || (named === 'Date' && isGlobal(node.object));
    }
    // Without an argument, `format` formats the current date.
    const { callee, arguments: given } = node;
    const called = node.type === 'CallExpression' && callee?.type === 'MemberExpression' ? callee.property?.name : '';
    return /^format(?:ToParts)?$/.test(called ?? '') && given?.length === 0;
  });
}

/** True for a source that reads the times of a file. */
export function readsFileDate(text: string, lang: Language): boolean {
  return some(text, lang, ({ type, name = '' }) => type === 'Identifier' && FILE_DATE.test(name));
}

/** True for a `Date` that converts its argument or names something else. It is not used as a type, because times are numbers here. */
function isTimeless(node: Node, parent: Node | undefined, above: Node | undefined): boolean {
  if (parent?.type === 'MemberExpression' && !parent.computed) {
    if (parent.property === node) return !isGlobal(parent.object);
    return /^(?:parse|UTC)$/.test(parent.property?.name ?? '');
  }
  if (parent?.key === node) return !parent.computed && above?.type !== 'ObjectPattern';
  if (parent?.type === 'NewExpression' && parent.callee === node) {
    const [first] = parent.arguments ?? [];
    return first !== undefined && first.type !== 'SpreadElement';
  }
  return parent?.type === 'BinaryExpression' && parent.operator === 'instanceof' && parent.right === node;
}

function isGlobal(node: Node | undefined): boolean {
  return node?.type === 'Identifier' && GLOBALS.has(node.name ?? '');
}

/** The value of a literal. */
function textOf({ value, quasis }: Node): unknown {
  return quasis?.length === 1 ? quasis[0]?.value.cooked : value;
}

/** True if the predicate holds for some node of the tree. */
function some(text: string, lang: Language, predicate: (node: Node, parent?: Node, above?: Node) => boolean): boolean {
  const visit = (node: Node, parent?: Node, above?: Node): boolean =>
    predicate(node, parent, above) ||
    Object.values(node)
      .flat()
      .some((child) => isNode(child) && visit(child, node, parent));
  return visit(parseAst(text, { lang }) as unknown as Node);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}
