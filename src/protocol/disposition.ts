/** Content-Disposition of downloads: RFC 6266, with RFC 8187 for what ASCII cannot say. Server only. */
import { encodeExtended } from 'content-disposition';

/** Marks that turn the reading direction: `invoice<RLO>fdp.exe` would be shown as `invoiceexe.pdf`. */
const BIDI_CONTROLS = /\p{Bidi_Control}/gu;
const CONTROLS = /[\p{Control}\u2028\u2029]/gu;

/**
 * `attachment; filename="ASCII fallback"; filename*=UTF-8''exact name` for the last segment of a file's name. `filename` comes first,
 * as old clients take the first they see; `filename*` is left out when `filename` says it all (RFC 6266, appendix D).
 */
export function contentDisposition(name: string): string {
  const shown = presentable(name);
  const fallback = asciiOf(shown);
  const quoted = fallback.replace(/["\\]/g, '\\$&');
  const exact = fallback === shown ? '' : `; filename*=${encodeExtended(shown)}`;
  return `attachment; filename="${quoted}"${exact}`;
}

/** The last segment without anything that could act on the receiver's file system or screen. */
function presentable(name: string): string {
  const segment = name.slice(name.lastIndexOf('/') + 1);
  const clean = segment
    .replace(CONTROLS, '')
    .replace(BIDI_CONTROLS, '')
    .replaceAll('\\', '')
    .replace(/\p{Surrogate}/gu, '\ufffd');
  return /^\.{0,2}$/.test(clean) ? 'download' : clean;
}

/** Each run of other characters becomes one `_`; so does a `%` before two hex digits, which some clients would decode. */
function asciiOf(shown: string): string {
  return shown.replace(/[^ -~]+/g, '_').replace(/%(?=[0-9a-f]{2})/gi, '_');
}
