/** The README as tests see it: its fenced blocks, tables, links and headings. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from './root.ts';

export interface Block {
  /** What stands behind the backticks: `sh tour restart`. */
  info: string;
  body: string;
  /** The heading it stands under. */
  section: string;
  line: number;
}

export const README = readFileSync(join(repoRoot(), 'README.md'), 'utf8');

export function blocks(text = README): Block[] {
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
    } else if (/^#{1,6} /.test(line)) {
      section = line.replace(/^#+ /, '');
    }
  }
  if (open !== null) throw new Error(`the block that begins at line ${open.line} never ends`);
  return found;
}

/** The text outside of fenced blocks. */
export function prose(text = README): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** The cells of the table whose head begins with these words, without head and rule. */
export function tableRows(head: string, text = README): string[][] {
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  if (at < 0) throw new Error(`there is no table that begins with ${head}`);
  const rows: string[][] = [];
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith('|')) break;
    const cells = line.split(/(?<!\\)\|/).slice(1, -1);
    rows.push(cells.map((cell) => cell.trim()));
  }
  return rows;
}

/** The anchors that GitHub makes of the headings. */
export function anchors(text = README): Set<string> {
  const headings = prose(text).match(/^#{1,6} .*$/gm) ?? [];
  return new Set(
    headings.map((heading) =>
      heading
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
