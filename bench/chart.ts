import { formatNumber, formatTarget, type Row } from './report.ts';

const WIDTH = 1040;
const LABEL_WIDTH = 350;
const NAME_WIDTH = 120;
const BAR_LEFT = LABEL_WIDTH + NAME_WIDTH;
const BAR_WIDTH = WIDTH - BAR_LEFT - 120;
const BAR_HEIGHT = 14;
/** Colours of the peers, the same in all charts. All other series are Lading in different states. */
const COLOURS: [RegExp, string][] = [
  [/^tus/, '#bf8700'],
  [/^nginx/, '#2da44e'],
  [/^(bare|sink)/, '#8b949e'],
  [/^dd/, '#8250df'],
];
const LADING = ['#1f6feb', '#79a8f0', '#b6d0f7'];

/**
 * A horizontal bar chart: one block per benchmark, one group per row, one bar per server. Bars are to scale only within their group,
 * because groups have different units.
 */
export function chart(rows: Row[], title: string, subtitle: string, judged: boolean): string {
  const key =
    '“× n” after a size means over n connections. The ratio in parentheses is the first bar of the group divided by this one.';
  const body: string[] = [text(16, 30, title, 'title'), text(16, 50, subtitle, 'small'), text(16, 66, key, 'small')];
  let y = 78;
  let benchmark = '';
  for (const row of rows) {
    if (row.benchmark !== benchmark) {
      benchmark = row.benchmark;
      y += 26;
      body.push(text(16, y, benchmark, 'benchmark'));
      y += 10;
    }
    body.push(...group(row, y, judged));
    y += Math.max(row.values.length, judged ? row.judgements.length + 1 : 1) * (BAR_HEIGHT + 2) + 10;
  }
  return page(body, y + 16);
}

function colour(name: string, position: number): string {
  return COLOURS.find(([pattern]) => pattern.test(name))?.[1] ?? LADING[position % LADING.length] ?? '#888';
}

function group(row: Row, top: number, judged: boolean): string[] {
  const highest = Math.max(...row.values.map(({ median }) => (Number.isFinite(median) ? median : 0)), Number.MIN_VALUE);
  const lines = [text(16, top + 12, `${row.label} (${row.unit})`, 'label')];
  if (judged)
    row.judgements.forEach((judgement, i) => {
      const verdict = `${judgement.met ? '✓' : '✗'} ${formatTarget(judgement, row.unit)}: ${formatNumber(judgement.measured)}`;
      lines.push(text(28, top + 12 + (i + 1) * (BAR_HEIGHT + 2), verdict, 'small'));
    });
  row.values.forEach(({ name, median }, i) => {
    const y = top + i * (BAR_HEIGHT + 2);
    const width = Number.isFinite(median) ? Math.max(1, (median / highest) * BAR_WIDTH) : 0;
    const ratio = row.ratios.find(({ to }) => to === name);
    const suffix = ratio === undefined ? '' : ` (${formatNumber(ratio.value)} ×)`;
    lines.push(text(LABEL_WIDTH, y + 11, name, 'small'));
    lines.push(
      `<rect x="${BAR_LEFT}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${colour(name, i)}"/>`,
    );
    lines.push(text(BAR_LEFT + width + 6, y + 11, `${formatNumber(median)}${suffix}`, 'small'));
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
.title { font-size: 20px; font-weight: 600; } .benchmark { font-size: 15px; font-weight: 600; }
.label { font-size: 12px; } .small { font-size: 11px; fill: #57606a; }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
${body.join('\n')}
</svg>
`;
}
