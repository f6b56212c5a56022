/** An immutable copy of a JSON document. */
export function frozenCopy<T extends object>(document: T): T {
  return deepFreeze(JSON.parse(JSON.stringify(document)) as T);
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === 'object' && member !== null) deepFreeze(member);
  return Object.freeze(value);
}
