/** Intents and bodies that several tests of the engine share. */
import { PassThrough } from 'node:stream';
import type { FileEvent } from '../../src/contracts/file-events.ts';
import type { FileIntent } from '../../src/engine/receive/file-upload.ts';
import type { ResourceIntent } from '../../src/engine/receive/upload-resource.ts';
import { OWNER } from '../support/product/device.ts';
import type { Tap } from '../support/wire/tap.ts';

export const NAME = 'a.bin';

/** A whole file that replaces the file of the name. */
export const WHOLE: FileIntent = {
  owner: OWNER,
  name: NAME,
  overwrite: true,
  contentType: null,
  reprDigest: null,
  minSize: 0,
};

/** An upload with an address of its own that replaces the file of the name. */
export const INSTEAD: ResourceIntent = {
  owner: OWNER,
  creator: { kind: 'device', id: OWNER },
  name: NAME,
  ifTaken: 'replace',
  size: null,
  contentType: null,
  metadata: null,
  needsExplicitEnd: true,
};

/** A request body that has fully arrived. */
export function stream(bytes: Uint8Array | string): PassThrough {
  const source = new PassThrough();
  source.end(bytes);
  return source;
}

/** Calls `listener` with every event of the engines that start on this tap. */
export function onEvent(tap: Tap, listener: (event: FileEvent) => void): void {
  const { wrap } = tap;
  Object.assign(tap, { wrap: (deps: Parameters<typeof wrap>[0]) => ({ ...wrap(deps), emit: listener }) });
}
