/** The roles of clients and people. */
import type { Static } from 'typebox';
import { Words } from './parts.ts';

export const ROLES = ['admin', 'ops', 'client', 'root'] as const;
export const Role = Words(ROLES, {
  description:
    'client: owns files; ops: reads every file of its tenant; admin: manages its tenant; root: manages all tenants.',
});
export type Role = Static<typeof Role>;
