/** Refuses transfer codings that the server cannot decode (RFC 9112 §6.1). */
import type { IncomingMessage } from 'node:http';
import { LadingError } from '../../errors.ts';

/** The error for a transfer coding that the server cannot decode; null for none and for `chunked`. */
export function checkTransferCoding({ headers }: IncomingMessage): LadingError | null {
  const coding = headers['transfer-encoding'];
  return coding === undefined || coding.toLowerCase() === 'chunked' ? null : unknownTransferCoding();
}

/** The error for an unknown transfer coding. */
export function unknownTransferCoding(): LadingError {
  return new LadingError('not_implemented', 'The only transfer coding that the server supports is "chunked".');
}
