/**
 * Receives a whole file as one part of a form: one request, no chunk header, any length. The part streams to the engine, with its limits,
 * quotas and durability. The file does not exist until the whole form has arrived and is checked.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCutShort } from '../../engine/body/cut-short.ts';
import type { Engine } from '../../engine/engine.ts';
import { assertAuthorized } from '../../engine/files/refusals.ts';
import type { FileIntent, ReceivedFile } from '../../engine/receive/file-upload.ts';
import { LadingError } from '../../errors.ts';
import { isMediaType } from '../../protocol/http/media-types.ts';
import { checkName } from '../../protocol/names.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { lacksPart, MAX_OTHER_BYTES, MultipartPart } from '../body/multipart.ts';
import { requestBody } from '../problems/early-refusal.ts';
import { preconditionOf } from '../request/preconditions.ts';
import { checkFormField } from '../request/unknown-keys.ts';

/** How to receive the form, and where to store its file. */
export interface FormFile {
  /** Name of the part that is the file. */
  part: string;
  /** Error for a form without it; `validation_failed` by default. */
  missing?: 'invalid_request';
  /** Other fields of the form, and the parameters of the query. */
  form: { fields: readonly string[]; query: readonly string[] };
  /** Owner of the file. */
  owner: string;
  /** Replace a complete file of the same name. Otherwise the upload is refused with `already_exists` or, with `nameIfTaken`, renamed. */
  overwrite: boolean;
  /** With `overwrite`: this upload becomes the file even if other uploads of the name are running. */
  lastWins?: boolean;
  /** Returns another name to use if the name is taken; a number is added if that is taken, too. Both files are kept. */
  nameIfTaken?: (name: string) => string;
  /** False once the sender may no longer upload. */
  isAuthorized(): boolean;
  /**
   * The name under which the file is stored; by default the name in the form, without directories.
   * @throws LadingError
   */
  name?: (fileName: string | null) => string;
  /**
   * Checks the complete upload before it becomes a file. Returns the media type, or null for the one of the name's extension.
   * @throws LadingError to refuse and discard the upload
   */
  inspect?: (
    arrived: ReceivedFile,
    form: { fields: ReadonlyMap<string, string>; name: string },
  ) => Promise<string | null>;
}

/** The stored file and the other contents of the form. */
export interface StoredFormFile {
  status: FileStatus;
  /** Fields of the form, before and after the file. */
  fields: ReadonlyMap<string, string>;
  fileName: string | null;
}

/**
 * Receives the form and stores its file.
 * @throws LadingError `unsupported_media_type`, `validation_failed`, `invalid_request`, `invalid_name`, `already_exists`,
 * `length_mismatch`, `precondition_failed`, `file_too_large`, `quota_exceeded`, `insufficient_storage`, and what `name` and `inspect` throw
 */
export async function receiveFormFile(
  engine: Engine,
  request: FastifyRequest,
  reply: FastifyReply,
  {
    part,
    missing,
    form: expected,
    owner,
    overwrite,
    lastWins,
    nameIfTaken,
    isAuthorized,
    name: nameOf = givenName,
    inspect,
  }: FormFile,
): Promise<StoredFormFile> {
  const type = request.headers['content-type'];
  if (missing && isFormWithoutFiles(type)) throw lacksPart(missing, part);
  if (!isMediaType(type, 'multipart/form-data')) {
    throw new LadingError('unsupported_media_type', `Send multipart/form-data with the file as the part "${part}".`);
  }
  if (isCutShort(request.raw))
    throw new LadingError('length_mismatch', 'The connection broke before the form was complete.');
  // The size of the rest of the form is unknown, but limited.
  const leastSize = Math.max(0, Number(request.headers['content-length'] ?? 0) - MAX_OTHER_BYTES);
  requestBody(request, reply);
  const query = { names: expected.query, given: request.query as Record<string, unknown> };
  const form = new MultipartPart(
    request,
    null,
    (watched) => engine.watchStalls(watched),
    part,
    (name, value) => checkFormField([name, value], expected.fields, query),
  );
  try {
    const file = await form.file(missing);
    const name = checkName(nameOf(form.fileName));
    const precondition = preconditionOf(request);
    const declared = { contentType: null, reprDigest: null, minSize: leastSize };
    // With a precondition the client means the file of exactly this name.
    const names =
      overwrite || precondition ? undefined : nameIfTaken && ((given: string) => checkName(nameIfTaken(given)));
    const replaces = { overwrite, lastWins: lastWins === true, nameIfTaken: names };
    const intent: FileIntent = { owner, name, ...replaces, ...declared, isAuthorized, precondition };
    await engine.admitFile(intent);
    const status = await engine.receiveFile(file, intent, async (arrived) => {
      await form.finish();
      // A client without authorization must not learn the result of `inspect`.
      assertAuthorized(isAuthorized);
      return inspect ? inspect(arrived, { fields: form.fields, name }) : null;
    });
    return { status, fields: form.fields, fileName: form.fileName };
  } finally {
    form.release();
  }
}

/** True for requests without a file: a form of fields only, or no body. */
function isFormWithoutFiles(type: string | undefined): boolean {
  return type === undefined || isMediaType(type, 'application/x-www-form-urlencoded');
}

function givenName(fileName: string | null): string {
  if (fileName !== null) return fileName;
  throw new LadingError('validation_failed', 'The file part of the form has no filename.');
}
