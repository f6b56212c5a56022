/** Runs schemathesis on the OpenAPI document of a running server, as an administrator and as a client. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../support/root.ts';
import { pythonWith } from '../support/servers/python.ts';
import { ADMIN, startTarget, type Target } from './target.ts';

export const SCHEMATHESIS = 'schemathesis==4.32.5';
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
];
/** 501 is for an unknown transfer coding (RFC 9112 §6.1). */
const CONFIG = `[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "501", "503", "507"]
`;
/** Ids of operations that are not tested, and the reasons. */
export const SCHEMA_EXCLUDED: Readonly<Record<string, string>> = {
  getApiEvents: 'its reply never ends',
  getLogout: 'it ends the session of the run',
  postV1AuthLogout: 'it ends the session of the run',
  deleteV1AuthSessions: 'it ends the session of the run',
};
const REQUEST_SECONDS = 10;
/** Time after the limit in which a run may finish before it is killed. */
const GRACE_MS = 60_000;

export interface SchemaOptions {
  seed: number;
  /** Generated cases of each operation, in addition to its examples and limits. */
  examples: number;
  /** Limit for each role. */
  seconds: number;
}

/** Runs both roles. @returns descriptions of faults; null if schemathesis cannot be installed */
export async function fuzzSchema(options: SchemaOptions): Promise<string[] | null> {
  const python = await pythonWith([SCHEMATHESIS]);
  if ('missing' in python) {
    process.stdout.write(python.missing);
    return null;
  }
  const program = join(python.programs, 'schemathesis');
  const target = await startTarget({ LADING_REGISTRATION: 'open' });
  const folder = await mkdtemp(join(tmpdir(), 'lading-schema-'));
  try {
    const config = join(folder, 'schemathesis.toml');
    await writeFile(config, CONFIG);
    const admin = await target.token(ADMIN.id, ADMIN.secret);
    const client = await clientToken(target, admin);
    const faults: string[] = [];
    for (const [role, token] of [
      ['administrator', admin],
      ['client', client],
    ] as const) {
      process.stdout.write(`\nas ${role}\n`);
      const arguments_ = ['--config-file', config, ...argumentsOf(target.origin, token, options)];
      const failure = await run(program, arguments_, folder, options.seconds * 1000 + GRACE_MS);
      if (failure !== null) faults.push(`schemathesis as ${role}: ${failure}`);
      // Otherwise later requests were sent without valid credentials.
      const still = await fetch(`${target.origin}/api/files`, { headers: { authorization: `Bearer ${token}` } });
      if (still.status !== 200) faults.push(`the session as ${role} ended during the run: ${still.status}`);
    }
    faults.push(...(await healthOf(target)));
    return faults;
  } finally {
    await target.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function clientToken(target: Target, admin: string): Promise<string> {
  const headers = { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
  const reply = await fetch(`${target.origin}/api/clients`, { method: 'POST', headers, body: '{"role":"client"}' });
  const { client_id: id, client_secret: secret } = (await reply.json()) as Record<string, string>;
  return target.token(id ?? '', secret ?? '');
}

function argumentsOf(origin: string, token: string, { seed, examples, seconds }: SchemaOptions): string[] {
  return [
    ...['run', `${origin}/openapi.json`, '--header', `Authorization: Bearer ${token}`],
    ...['--checks', CHECKS.join(','), '--phases', 'examples,coverage,fuzzing'],
    ...['--seed', String(seed), '--max-examples', String(examples), '--max-time', String(seconds)],
    ...['--request-timeout', String(REQUEST_SECONDS), '--workers', '2', '--no-shrink'],
    ...['--warnings', 'off', '--generation-database', 'none', '--no-color'],
    ...Object.keys(SCHEMA_EXCLUDED).flatMap((id) => ['--exclude-operation-id', id]),
  ];
}

/** Runs the program and shows its output. @returns an error; null if it found no fault */
function run(program: string, arguments_: string[], folder: string, ms: number): Promise<string | null> {
  const env = { ...process.env, SCHEMATHESIS_HOOKS: join(repoRoot(), 'test/fuzz/hooks.py') };
  const child = spawn(program, arguments_, { cwd: folder, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      resolve(code === 0 ? null : signal ? `it did not end in time (${signal})` : `it ended with ${code}`);
    });
  });
}

async function healthOf(target: Target): Promise<string[]> {
  const end = target.ended();
  if (end !== null) return [`the server ended: ${end}`];
  const reply = await fetch(`${target.origin}/health`).catch(() => null);
  const health = reply?.status === 200 ? [] : [`/health answered ${reply?.status ?? 'nothing'}`];
  return [...health, ...target.faults.slice(0, 20).map((line) => `the log says: ${line.slice(0, 1000)}`)];
}
