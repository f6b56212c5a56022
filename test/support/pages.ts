/** The pages of the documentation, and their fenced blocks, tables, links and headings. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from './root.ts';

export interface Block {
  /** The text after the backticks: `sh tour restart`. */
  info: string;
  body: string;
  /** The nearest heading of the second level above it; empty without one. */
  section: string;
  line: number;
}

/** Paths of all pages, from the root of the repository: `README.md`, `docs/errors.md`. */
export const PAGES: readonly string[] = ['.', 'docs', 'examples', 'clients/js'].flatMap((folder) =>
  readdirSync(join(repoRoot(), folder))
    // The build creates NOTICES.md, with the licences of dependencies.
    .filter((name) => name.endsWith('.md') && name !== 'NOTICES.md')
    .map((name) => (folder === '.' ? name : `${folder}/${name}`)),
);

/** The text of a page. */
export function page(path: string): string {
  return readFileSync(join(repoRoot(), path), 'utf8');
}

/** The fenced blocks of a page, in order. Throws when one is not closed. */
export function blocks(text: string): Block[] {
  const found: Block[] = [];
  let section = '';
  let open: Block | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    if (open !== null) {
      if (line === '```') {
        found.push(open);
        open = null;
      } else open.body += `${line}\n`;
    } else if (line.startsWith('```')) {
      open = { info: line.slice(3).trim(), body: '', section, line: index + 1 };
    } else if (line.startsWith('## ')) {
      section = line.slice(3);
    }
  }
  if (open !== null) throw new Error(`the block that begins at line ${open.line} is not closed`);
  return found;
}

/** The text outside of fenced blocks. */
export function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** The rows of all tables whose header begins with this word, without header and delimiter rows. Throws if no table does. */
export function tableRows(head: string, text: string): string[][] {
  const rows: string[][] = [];
  let tables = 0;
  let inside = false;
  for (const line of text.split('\n')) {
    if (line.startsWith(`| ${head} |`)) {
      inside = true;
      tables += 1;
    } else if (!line.startsWith('|')) inside = false;
    else if (inside && !line.startsWith('|---')) {
      const cells = line.split(/(?<!\\)\|/).slice(1, -1);
      rows.push(cells.map((cell) => cell.trim()));
    }
  }
  if (tables === 0) throw new Error(`no table has a header that begins with ${head}`);
  return rows;
}

/** The anchors of the headings as GitHub creates them; a repeated heading gets a number. */
export function anchors(text: string): Set<string> {
  const found = new Set<string>();
  for (const heading of prose(text).match(/^#{1,6} .*$/gm) ?? []) {
    const anchor = heading
      .replace(/^#+ /, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let unique = anchor;
    for (let copy = 1; found.has(unique); copy += 1) unique = `${anchor}-${copy}`;
    found.add(unique);
  }
  return found;
}
