/** What every command shares: client, output, signal and exit code. */
import type { Command } from 'commander';
import type { TokenStore } from '../../client/calls/session.ts';
import type { LadingClient } from '../../client/client.ts';
import { EXIT, exitCodeOf, OutputClosed, Stopped } from './exit.ts';
import { Output } from './output.ts';
import { configPathOf, type GlobalOptions, loadSettings, type Settings } from './settings.ts';
import { tokenStore, tokensPathOf } from './token-store.ts';

/** What the body of a command receives. */
export interface Context {
  client: LadingClient;
  settings: Settings;
  out: Output;
  signal: AbortSignal;
}

/** Runs the body of a command that contacts a server, and sets the exit code: 0, or the one that the body returns. */
export async function run(
  command: Command,
  body: (context: Context) => Promise<number | undefined>,
  options: { connections?: number } = {},
): Promise<void> {
  const globals = command.optsWithGlobals<GlobalOptions>();
  const out = new Output(globals);
  const stop = stopOnSignals();
  let client: LadingClient | null = null;
  try {
    const settings = await loadSettings(globals);
    // Imported here so that help and usage errors need not load it.
    const { connect } = await import('../../client/node.ts');
    const store = storeOf(settings, configPathOf(globals));
    client = connect({ server: settings.server, ca: settings.ca, ...settings.credentials, store, ...options });
    process.exitCode = (await body({ client, settings, out, signal: stop.signal })) ?? EXIT.ok;
  } catch (error) {
    // Like other programs, exit silently when the reader has closed standard output.
    if (!(error instanceof OutputClosed)) out.error(error);
    process.exitCode = exitCodeOf(error);
  } finally {
    stop.release();
    await client?.close();
  }
}

/** Runs the body of a command that needs no client, and sets the exit code. */
export async function runLocally(command: Command, body: (out: Output) => Promise<void>): Promise<void> {
  const out = new Output(command.optsWithGlobals<GlobalOptions>());
  try {
    await body(out);
    process.exitCode = EXIT.ok;
  } catch (error) {
    out.error(error);
    process.exitCode = exitCodeOf(error);
  }
}

/** Returns the token cache; undefined when the settings hold a token, or nothing to sign in with. */
export function storeOf({ server, credentials }: Settings, configPath: string): TokenStore | undefined {
  const { token, clientId, clientSecret } = credentials;
  if (token !== undefined || clientId === undefined || clientSecret === undefined) return undefined;
  return tokenStore(tokensPathOf(configPath), { server, clientId, clientSecret });
}

/** The first Ctrl-C stops the command gracefully, so that the next run can resume. A second one exits at once. */
function stopOnSignals(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const stopWith = (exitCode: number) => () => {
    if (controller.signal.aborted) process.exit(exitCode);
    controller.abort(new Stopped(exitCode));
  };
  const onInterrupt = stopWith(EXIT.interrupted);
  const onTerminate = stopWith(EXIT.terminated);
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return {
    signal: controller.signal,
    release: () => {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
    },
  };
}
