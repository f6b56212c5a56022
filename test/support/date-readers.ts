/** Finds what asks a machine for its date: in the syntax tree, where no comment, text or pattern looks like code. */
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

/** Objects that hold what is global. */
const GLOBALS: ReadonlySet<string> = new Set(['globalThis', 'global', 'window', 'self']);
/** Members of `fs.Stats`. */
const FILE_DATE = /^(?:[amc]|birth)time(?:Ms|Ns)?$/;

/** The language of a source file; `<T>(x: T) => x` is a function in one language and an element in the other. */
export type Language = 'ts' | 'tsx';

/** True for a source that asks the machine what time it is, in whatever form. */
export function readsDate(text: string, lang: Language): boolean {
  return some(text, lang, (node, parent, above) => {
    if (node.type === 'Identifier' && node.name === 'Date') return !isTimeless(node, parent, above);
    if (node.type === 'Identifier' && (node.name === 'timeOrigin' || node.name === 'Temporal')) return true;
    if (node.type === 'MemberExpression' && node.computed && node.property) {
      const named = textOf(node.property);
      return named === 'timeOrigin' || (named === 'Date' && isGlobal(node.object));
    }
    // Without an argument it is the date of now that is written.
    const { callee, arguments: given } = node;
    const called = node.type === 'CallExpression' && callee?.type === 'MemberExpression' ? callee.property?.name : '';
    return /^format(?:ToParts)?$/.test(called ?? '') && given?.length === 0;
  });
}

/** True for a source that asks when a file was changed. */
export function readsFileDate(text: string, lang: Language): boolean {
  return some(text, lang, ({ type, name = '' }) => type === 'Identifier' && FILE_DATE.test(name));
}

/** `Date` where it converts what is given to it, or is the name of something else. A moment is a number here, so it is no type either. */
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

/** What a literal says. */
function textOf({ value, quasis }: Node): unknown {
  return quasis?.length === 1 ? quasis[0]?.value.cooked : value;
}

/** True when the question has a yes for some node of the tree. */
function some(text: string, lang: Language, asked: (node: Node, parent?: Node, above?: Node) => boolean): boolean {
  const visit = (node: Node, parent?: Node, above?: Node): boolean =>
    asked(node, parent, above) ||
    Object.values(node)
      .flat()
      .some((child) => isNode(child) && visit(child, node, parent));
  return visit(parseAst(text, { lang }) as unknown as Node);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}
