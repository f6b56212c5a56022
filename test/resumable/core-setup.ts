/** Shared functions of the core tests. */
import { createHash } from 'node:crypto';
import { eventually } from '../support/eventually.ts';
import type { TestServer } from '../support/product/server.ts';
import type { Fields } from '../support/wire/resumable.ts';

export const DRAFT = { 'upload-draft-interop-version': '8' };

export const TYPES = 'https://iana.org/assignments/http-problem-types';

export const digest = (bytes: Uint8Array | string, algorithm = 'sha256'): string =>
  `${algorithm.replace('sha', 'sha-')}=:${createHash(algorithm).update(bytes).digest('base64')}:`;

export const disposition = (name: string): Fields => ({ 'content-disposition': `attachment; filename="${name}"` });

export async function receiving({ app }: TestServer): Promise<void> {
  await eventually(() => app.engine.gauges().receiving === 1, 'the request runs');
}
