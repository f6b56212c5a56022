/** Plain pages: HTML without a script, in the style of the dashboard. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const POLICY =
  "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src data:";

/** Header fields of every plain page. Forms need the origin: with `no-referrer` browsers send `Origin: null`. */
export const PLAIN_PAGE_FIELDS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
};

const STYLE_SHEET = readdirSync(join(import.meta.dirname, '../../dashboard/assets')).find((name) =>
  name.endsWith('.css'),
);

/**
 * @param root path or relative path of the server's root, with a trailing slash
 * @param body HTML below the heading
 */
export function plainPage(root: string, title: string, body: string): string {
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
    `<meta name="color-scheme" content="light dark"><title>${title} – Lading</title><link rel="icon" href="data:,">` +
    `<link rel="stylesheet" href="${root}assets/${STYLE_SHEET ?? ''}"></head><body><main><h1>${title}</h1>${body}</main></body></html>`
  );
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** A text as HTML, also within a quoted attribute. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
