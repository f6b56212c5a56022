/** The names of files, documents and secrets that every back end accepts. */

const ID = /^[0-9a-f]{32}$/;
const DOCUMENT_ID = /^[A-Za-z0-9._-]{1,128}$/;
const SECRET = /^[a-z]{1,32}$/;

export function isFileId(name: string): boolean {
  return ID.test(name);
}

/** Throws a RangeError for a name that is not a file id. The server makes the ids, so any other name is a bug. */
export function assertFileId(id: string): void {
  if (!isFileId(id)) throw new RangeError('a file id is 32 lowercase hexadecimal digits');
}

export function isDocumentId(id: string): boolean {
  return DOCUMENT_ID.test(id);
}

/** Throws a RangeError for an invalid id of a document. */
export function assertDocumentId(id: string): void {
  if (!isDocumentId(id)) throw new RangeError('the id of a document is 1 to 128 letters, digits, ".", "_" or "-"');
}

/** Throws a RangeError for an invalid name of a secret. */
export function assertSecretName(name: string): void {
  if (!SECRET.test(name)) throw new RangeError('the name of a secret is 1 to 32 lowercase letters');
}
