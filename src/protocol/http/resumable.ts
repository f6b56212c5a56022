/**
 * The header fields of resumable uploads for HTTP (draft-ietf-httpbis-resumable-upload), in the versions that clients use. The field
 * `Upload-Draft-Interop-Version` names the version:
 *
 *     3  draft -01: Upload-Incomplete instead of Upload-Complete; used by phones of 2023
 *     5  draft -03: Upload-Complete; bytes are appended in any media type
 *     6  draft -04, -05: application/partial-upload, Upload-Length
 *     7  draft -06 to -08
 *     8  draft -09 and later
 */

export const PARTIAL_TYPE = 'application/partial-upload';
/** The version that this server uses if the client names none. */
export const NEWEST_VERSION = 8;
const VERSIONS = [3, 4, 5, 6, 7, 8] as const;

/** A known version of the draft. */
export type InteropVersion = (typeof VERSIONS)[number];
type Fields = Readonly<Record<string, string | string[] | undefined>>;

/** Returns the version that the client names; null if it names none or an unknown one. */
export function interopVersion(fields: Fields): InteropVersion | null {
  const named = integer(fields['upload-draft-interop-version']);
  return VERSIONS.find((version) => version === named) ?? null;
}

/** True if a request has a field that only clients of resumable uploads send. */
export function isResumable(fields: Fields): boolean {
  return fields['upload-draft-interop-version'] !== undefined || fields['upload-complete'] !== undefined;
}

/** Returns whether the file ends with this request. Returns null if no field says so; then the request is not a resumable upload. */
export function completeOf(fields: Fields): boolean | null {
  if (interopVersion(fields) === 3) {
    const incomplete = boolean(fields['upload-incomplete']);
    return incomplete === null ? null : !incomplete;
  }
  return boolean(fields['upload-complete']);
}

/** Returns the field that says whether the upload is complete, in the form of the client's version. */
export function completeField(version: InteropVersion | null, complete: boolean): [name: string, value: string] {
  if (version === 3) return ['upload-incomplete', complete ? '?0' : '?1'];
  return ['upload-complete', complete ? '?1' : '?0'];
}

/** Parses `Upload-Offset`. Returns null if it is missing or not a whole number, because then "the entire field is ignored". */
export function offsetOf(fields: Fields): number | null {
  return integer(fields['upload-offset']);
}

/** Parses `Upload-Length`. Returns null if it is missing or not a whole number. */
export function lengthOf(fields: Fields): number | null {
  return integer(fields['upload-length']);
}

/** True for version 6 and later, which append with a media type of their own. */
export function appendsInOwnType(version: InteropVersion | null): boolean {
  return version === null || version >= 6;
}

/** Formats `Upload-Limit`: the maximum size of a file in bytes, and the seconds until the upload expires. A minimum size does not exist. */
export function formatLimit(maxSize: number, maxAge: number | null): string {
  return `max-size=${maxSize}, min-size=0${maxAge === null ? '' : `, max-age=${Math.max(0, Math.floor(maxAge))}`}`;
}

/** Parses a non-negative Item Integer (RFC 9651 §3.3.1) and ignores its parameters. */
function integer(value: string | string[] | undefined): number | null {
  const [, digits] = (typeof value === 'string' && /^ *(\d{1,15}) *(?:;.*)?$/.exec(value)) || [];
  return digits === undefined ? null : Number(digits);
}

/** Parses an Item Boolean (RFC 9651 §3.3.6) and ignores its parameters. */
function boolean(value: string | string[] | undefined): boolean | null {
  const [, digit] = (typeof value === 'string' && /^ *\?([01]) *(?:;.*)?$/.exec(value)) || [];
  return digit === undefined ? null : digit === '1';
}
