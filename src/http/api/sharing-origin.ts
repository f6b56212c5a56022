/** What grants and share links have in common in replies. */
import { parseOwnerKey, visibleCreator } from '../../identity/rights/policy.ts';
import { iso } from '../../protocol/times.ts';
import type { Principal, Subject } from '../../records/principal.ts';

/** Owner, creator and creation time of a grant or a share link, as the principal may see them. */
export function sharingOrigin(
  principal: Principal,
  document: { maker: Subject; owner: string; createdAt: number },
): { owner: string; created_by: string | null; created_at: string } {
  return {
    owner: parseOwnerKey(document.owner).id,
    created_by: visibleCreator(principal, document),
    created_at: iso(document.createdAt),
  };
}
