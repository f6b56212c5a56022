/** The selected names of a list. */
import { useState } from 'preact/hooks';

/** The selected names. */
export interface Selection {
  has(name: string): boolean;
  /** Selects or deselects a name; with `range`, all names between the last one and this one. */
  set(name: string, on: boolean, range: boolean): void;
  /** Selects all names of the list, or none. */
  setAll(on: boolean): void;
}

/** @param names the names of the list, in order */
export function useSelection(names: string[]): Selection {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [last, setLast] = useState<string | null>(null);
  return {
    has: (name) => selected.has(name),
    set: (name, on, range) => {
      const next = new Set(selected);
      const [a, b] = [names.indexOf(last ?? ''), names.indexOf(name)];
      const changed = range && a >= 0 ? names.slice(Math.min(a, b), Math.max(a, b) + 1) : [name];
      for (const one of changed) {
        if (on) next.add(one);
        else next.delete(one);
      }
      setSelected(next);
      setLast(name);
    },
    setAll: (on) => setSelected(new Set(on ? names : [])),
  };
}
