/** Describes the settings for `lading serve --help` and docs/settings.md. */
import { SETTINGS, type Setting } from './settings.ts';

/** Returns the flags with their defaults, one per line, for `lading serve --help`. */
export function helpText(): string {
  const rows = SETTINGS.map((setting: Setting) => {
    const shown = setting.default === null ? '' : ` (${setting.name === 'workers' ? 'cores' : setting.default})`;
    return [`  --${setting.flag} <${setting.kind}>`, `${setting.help}${shown} [${setting.env}]`] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `${left.padEnd(width)}${right}`).join('\n');
}

/** Returns the settings as the Markdown table of docs/settings.md. */
export function settingsTable(): string {
  const rows = SETTINGS.map((setting: Setting) => {
    const shown = setting.name === 'workers' ? 'cores' : setting.default === null ? '' : `\`${setting.default}\``;
    return `| \`${setting.env}\` | \`--${setting.flag}\` | ${shown} | ${setting.help} |`;
  });
  return ['| Variable | Flag | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n');
}
