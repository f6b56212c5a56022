import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeError, EXIT, EXIT_HELP, exitCodeOf, Stopped, UsageError } from '../../../src/cli/shared/exit.ts';
import { NetworkError, SourceChangedError, VerificationError } from '../../../src/client/client.ts';
import { CATALOGUE, type ErrorCode, LadingError } from '../../../src/errors.ts';
import { repoRoot } from '../../support/root.ts';

test('every error code of the server maps to an exit code', () => {
  const codes: Record<ErrorCode, number> = {
    invalid_request: 1,
    malformed_header: 1,
    length_mismatch: 1,
    checksum_mismatch: 6,
    digest_mismatch: 6,
    out_of_bounds: 1,
    invalid_name: 2,
    unauthorized: 3,
    forbidden: 3,
    insufficient_scope: 3,
    not_found: 4,
    not_complete: 4,
    method_not_allowed: 1,
    request_timeout: 7,
    already_exists: 5,
    size_conflict: 5,
    chunk_conflict: 5,
    file_complete: 5,
    not_contiguous: 5,
    offset_mismatch: 5,
    superseded: 5,
    length_required: 1,
    precondition_failed: 10,
    chunk_too_large: 1,
    file_too_large: 1,
    quota_exceeded: 1,
    unsupported_media_type: 1,
    range_not_satisfiable: 8,
    validation_failed: 1,
    rate_limited: 7,
    headers_too_large: 1,
    internal: 7,
    file_damaged: 6,
    not_implemented: 7,
    overloaded: 7,
    shutting_down: 7,
    insufficient_storage: 7,
  };
  assert.deepEqual(Object.keys(codes).sort(), Object.keys(CATALOGUE).sort());
  for (const [code, expected] of Object.entries(codes)) {
    assert.equal(exitCodeOf(new LadingError(code as ErrorCode, 'd')), expected, code);
  }
});

test('local errors map to exit codes', () => {
  assert.equal(exitCodeOf(new NetworkError('unreachable')), EXIT.unavailable);
  assert.equal(exitCodeOf(new VerificationError('differs')), EXIT.verification);
  assert.equal(exitCodeOf(new SourceChangedError('changed')), EXIT.failure);
  assert.equal(exitCodeOf(new UsageError('wrong')), EXIT.usage);
  assert.equal(exitCodeOf(new Stopped(EXIT.interrupted)), 130);
  assert.equal(exitCodeOf(new Error('no space left')), EXIT.failure);
  assert.equal(exitCodeOf('odd'), EXIT.failure);
  assert.equal(
    exitCodeOf(Object.assign(new Error('ENOENT'), { code: 'ENOENT' })),
    EXIT.failure,
    'not an error of opening a file',
  );
});

test('the error for a local file that cannot be opened contains its path and the reason', async () => {
  const error = await readFile('/proc/no-such-file').catch((caught: unknown) => caught);
  assert.equal(exitCodeOf(error), EXIT.localFile);
  assert.deepEqual(describeError(error), {
    code: 'local_file',
    detail: 'No such file or directory: /proc/no-such-file',
  });
});

test('the help lists every exit code', () => {
  for (const code of Object.values(EXIT)) assert.match(EXIT_HELP, new RegExp(`(^|\\s)${code}  `, 'm'));
});

test('a described error has a code and keeps its members', () => {
  const error = new LadingError('not_contiguous', 'gaps', { missing: [[1, 2]] });
  assert.deepEqual(describeError(error), { code: 'not_contiguous', detail: 'gaps', status: 409, missing: [[1, 2]] });
  assert.deepEqual(describeError(new NetworkError('unreachable')), { code: 'network', detail: 'unreachable' });
  assert.deepEqual(describeError(new TypeError('no')), { code: 'failure', detail: 'no' });
});

test('a missing local file has a different exit code than other disk failures', async () => {
  const error: unknown = await open('/nonexistent/file').catch((cause: unknown) => cause);
  assert.equal(exitCodeOf(error), EXIT.localFile);
  assert.equal(describeError(error).code, 'local_file');
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'open' });
  assert.equal(exitCodeOf(full), EXIT.failure);
});

test('docs/cli.md lists every exit code', () => {
  const manual = readFileSync(join(repoRoot(), 'docs/cli.md'), 'utf8');
  for (const code of Object.values(EXIT)) assert.match(manual, new RegExp(`^\\| ${code} \\|`, 'm'));
});
