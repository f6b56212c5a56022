/** The command line of an administrator with a server of the test. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { jsonLines, runCli, temporaryFolder } from '../servers/processes.ts';
import { startServer, type TestServer } from './server.ts';

export interface CommandLine {
  server: TestServer;
  folder: string;
  /** Runs `lading ARGS…`, by default as the administrator. */
  lading: (args: readonly string[], token?: string, input?: string) => ReturnType<typeof runCli>;
  /** Runs a command with `--json`; returns its one JSON object. Fails if the command does. */
  json: (args: readonly string[], token?: string, input?: string) => Promise<Record<string, unknown>>;
}

export async function startCommandLine(t: TestContext, dataDir?: string): Promise<CommandLine> {
  const server = await startServer(t, {}, {}, dataDir);
  const folder = await temporaryFolder(t);
  const lading: CommandLine['lading'] = (args, token = server.admin.token, input = '') =>
    runCli(t, args, {
      cwd: folder,
      env: { XDG_CONFIG_HOME: folder, LADING_SERVER: server.origin, LADING_TOKEN: token },
      input,
    });
  const json: CommandLine['json'] = async (args, token, input) => {
    const { code, stdout, stderr } = await lading([...args, '--json'], token, input);
    assert.equal(code, 0, stderr + stdout);
    const [value, ...more] = jsonLines(stdout);
    assert.ok(value !== undefined && more.length === 0, stdout);
    return value;
  };
  return { server, folder, lading, json };
}
