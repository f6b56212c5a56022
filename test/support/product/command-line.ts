/** The command line with a server of the test. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { jsonLines, runCli, temporaryFolder } from '../servers/processes.ts';
import { type Account, startServer, type TestServer } from './server.ts';

export interface CommandLine {
  server: TestServer;
  folder: string;
  /** Runs `lading ARGS…` in the folder, by default as the ordinary client. */
  lading: (args: readonly string[], env?: Record<string, string>, input?: string) => ReturnType<typeof runCli>;
  /** Runs a command with `--json`; returns its one JSON object. Fails if the command does. */
  json: (args: readonly string[], env?: Record<string, string>) => Promise<Record<string, unknown>>;
}

export async function startCommandLine(t: TestContext): Promise<CommandLine> {
  const server = await startServer(t);
  const folder = await temporaryFolder(t);
  const lading: CommandLine['lading'] = (args, env = envOf(server, server.client), input = '') =>
    runCli(t, args, { cwd: folder, env: { XDG_CONFIG_HOME: folder, ...env }, input });
  const json: CommandLine['json'] = async (args, env) => {
    const { code, stdout, stderr } = await lading([...args, '--json'], env);
    assert.equal(code, 0, stderr + stdout);
    const [value, ...more] = jsonLines(stdout);
    assert.ok(value !== undefined && more.length === 0, stdout);
    return value;
  };
  return { server, folder, lading, json };
}

export function envOf(server: TestServer, account: Account): Record<string, string> {
  return { LADING_SERVER: server.origin, LADING_TOKEN: account.token };
}
