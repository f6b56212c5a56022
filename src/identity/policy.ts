/** Who may do what (PROTOCOL §2, §7). */
import type { Principal } from '../contracts.ts';
import { LadingError } from '../errors.ts';

/**
 * Whose files a request is about: one's own, or with `owner=` anyone's for an administrator.
 * @throws LadingError `forbidden`, the same whether that owner or file exists or not
 */
export function ownerOf(principal: Principal, asked: string | undefined): string {
  if (asked === undefined || asked === principal.id) return principal.id;
  if (principal.role === 'admin') return asked;
  throw new LadingError('forbidden', 'Only an administrator may name another owner.');
}

/** @throws LadingError `insufficient_scope` */
export function requireAdmin(principal: Principal): void {
  if (principal.role !== 'admin') throw new LadingError('insufficient_scope', 'This needs the role admin.');
}
