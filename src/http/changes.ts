/** What a change was, for the audit log: from what to what. Secrets never come here. */

import type { PersonDocument } from '../contracts.ts';

type Value = string | number | boolean | null | undefined | readonly string[];

/**
 * `role: client → admin; name: "old" → "new"` for what is different; null when nothing is.
 * @param before values by the names that the log calls them
 */
export function changesOf(before: Record<string, Value>, after: Record<string, Value>): string | null {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changes = names
    .filter((name) => shown(before[name]) !== shown(after[name]))
    .map((name) => `${name}: ${shown(before[name])} → ${shown(after[name])}`);
  return changes.length === 0 ? null : changes.join('; ');
}

/** What the audit log tells of a person. */
export function ofPerson({ role, email, name, surname, disabled }: PersonDocument): Record<string, Value> {
  return { role, email, name, surname, disabled: disabled === true };
}

function shown(value: Value): string {
  if (value === undefined || value === null) return 'none';
  if (typeof value === 'string') return /^[\w@.+:-]{1,200}$/.test(value) ? value : JSON.stringify(value.slice(0, 200));
  return Array.isArray(value) ? value.join(' ') : String(value);
}
