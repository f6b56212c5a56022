/** The reply of the health check. */
import Type, { type Static } from 'typebox';
import { Words } from './parts.ts';

export const Health = Type.Object({ status: Words(['healthy']) }, { title: 'Health' });
export type Health = Static<typeof Health>;
