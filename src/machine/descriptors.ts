/** How many descriptors (files, connections) the system lets this process have open. */
import { readFileSync } from 'node:fs';

/** @returns null where the system does not say, or sets no limit */
export function descriptorLimit(): number | null {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? null : Number(soft);
  } catch {
    const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
    const soft = Number(userLimits?.open_files?.soft);
    return Number.isSafeInteger(soft) && soft > 0 ? soft : null;
  }
}
