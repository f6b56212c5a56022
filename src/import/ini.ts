/**
 * Parses INI files as Python's `configparser` does, which wrote the imported ones: `=` or `:` follows a key, comments have lines of their own,
 * lines with a larger indent continue a value, and `%%` is a percent sign.
 */

/** Section → key → value. Names and order are those of the file. */
export type Ini = Map<string, Map<string, string>>;

/** A line that cannot be parsed. The message gives its number and not its text, which may hold a secret. */
export class IniError extends Error {
  override readonly name = 'IniError';
}

/** @throws IniError */
export function parseIni(text: string): Ini {
  const ini: Ini = new Map();
  let section: Map<string, string> | null = null;
  let key: string | null = null;
  let indent = 0;
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    const content = line.trim();
    const depth = line.length - line.trimStart().length;
    if (content === '' || /^[#;]/.test(content)) continue;
    if (section !== null && key !== null && depth > indent) {
      section.set(key, `${section.get(key)}\n${unescaped(content)}`);
      continue;
    }
    const header = /^\[([^\]]+)\]$/.exec(content);
    if (header?.[1] !== undefined) {
      section = ini.get(header[1].trim()) ?? new Map();
      ini.set(header[1].trim(), section);
      key = null;
      continue;
    }
    const at = content.search(/[=:]/);
    if (section === null || at <= 0)
      throw new IniError(`line ${index + 1} is neither a [section] nor a key with a value`);
    key = content.slice(0, at).trim();
    indent = depth;
    section.set(key, unescaped(content.slice(at + 1).trim()));
  }
  return ini;
}

function unescaped(value: string): string {
  return value.replaceAll('%%', '%');
}
