import { formatNumber, type Row } from './report.ts';

const WIDTH = 980;
const LABEL_WIDTH = 270;
const NAME_WIDTH = 80;
const BAR_LEFT = LABEL_WIDTH + NAME_WIDTH;
const BAR_WIDTH = WIDTH - BAR_LEFT - 120;
const BAR_HEIGHT = 14;
const COLOURS = ['#1f6feb', '#8b949e', '#2da44e', '#bf8700', '#8250df'];

/**
 * A horizontal bar chart: a block a question, a group a row, a bar a contestant. Bars are to scale within their group only: a
 * group compares contestants, and groups have different units.
 */
export function chart(rows: Row[], title: string, subtitle: string): string {
  const names = [...new Set(rows.flatMap(({ values }) => values.map(({ name }) => name)))];
  const colour = (name: string) => COLOURS[names.indexOf(name) % COLOURS.length] ?? '#888';
  const body: string[] = [text(16, 30, title, 'title'), text(16, 50, subtitle, 'small')];
  let y = 70;
  let question = '';
  for (const row of rows) {
    if (row.question !== question) {
      question = row.question;
      y += 26;
      body.push(text(16, y, question, 'question'));
      y += 10;
    }
    body.push(...group(row, y, colour));
    y += row.values.length * (BAR_HEIGHT + 2) + 10;
  }
  return page(body, y + 16);
}

function group(row: Row, top: number, colour: (name: string) => string): string[] {
  const most = Math.max(...row.values.map(({ median }) => (Number.isFinite(median) ? median : 0)), Number.MIN_VALUE);
  const lines = [text(16, top + 12, `${row.label} (${row.unit})`, 'label')];
  row.values.forEach(({ name, median }, i) => {
    const y = top + i * (BAR_HEIGHT + 2);
    const width = Number.isFinite(median) ? Math.max(1, (median / most) * BAR_WIDTH) : 0;
    const ratio = row.ratios.find(({ to }) => to === name);
    const behind = ratio === undefined ? '' : ` (${formatNumber(ratio.value)} ×)`;
    lines.push(text(LABEL_WIDTH, y + 11, name, 'small'));
    lines.push(
      `<rect x="${BAR_LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${colour(name)}"/>`,
    );
    lines.push(text(BAR_LEFT + width + 6, y + 11, `${formatNumber(median)}${behind}`, 'small'));
  });
  return lines;
}

function text(x: number, y: number, content: string, style: string): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${x.toFixed(1)}" y="${y}" class="${style}">${escaped}</text>`;
}

function page(body: string[], height: number): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">
<style>
text { font-family: system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 20px; font-weight: 600; } .question { font-size: 15px; font-weight: 600; }
.label { font-size: 12px; } .small { font-size: 11px; fill: #57606a; }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
${body.join('\n')}
</svg>
`;
}
