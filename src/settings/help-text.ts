/** The settings in words: for `lading serve --help` and for docs/settings.md. */
import { SETTINGS, type Setting } from './settings.ts';

/** The flags with their defaults, as `lading serve --help` prints them. */
export function helpText(): string {
  const rows = SETTINGS.map((setting: Setting) => {
    const shown = setting.default === null ? '' : ` (${setting.name === 'workers' ? 'cores' : setting.default})`;
    return [`  --${setting.flag} <${setting.kind}>`, `${setting.help}${shown} [${setting.env}]`] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `${left.padEnd(width)}${right}`).join('\n');
}

/** The settings as a Markdown table, as docs/settings.md shows them. */
export function settingsTable(): string {
  const rows = SETTINGS.map((setting: Setting) => {
    const shown = setting.name === 'workers' ? 'cores' : setting.default === null ? '' : `\`${setting.default}\``;
    return `| \`${setting.env}\` | \`--${setting.flag}\` | ${shown} | ${setting.help} |`;
  });
  return ['| Variable | Flag | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}
