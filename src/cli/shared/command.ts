/** What every command needs: a client, a way to say things, and a signal that Ctrl-C raises. */
import type { Command } from 'commander';
import type { TokenStore } from '../../client/calls/session.ts';
import type { LadingClient } from '../../client/client.ts';
import { EXIT, exitCodeOf, OutputClosed, Stopped } from './exit.ts';
import { Output } from './output.ts';
import { configPathOf, type GlobalOptions, loadSettings, type Settings } from './settings.ts';
import { tokenStore, tokensPathOf } from './token-store.ts';

export interface Context {
  client: LadingClient;
  settings: Settings;
  out: Output;
  signal: AbortSignal;
}

/** Runs one command to its end and sets the exit code. The body's own number wins over 0. */
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
    // Loaded only when there is something to ask the network: help and wrong usage answer at once.
    const { connect } = await import('../../client/node.ts');
    const store = storeOf(settings, configPathOf(globals));
    client = connect({ server: settings.server, ca: settings.ca, ...settings.credentials, store, ...options });
    process.exitCode = (await body({ client, settings, out, signal: stop.signal })) ?? EXIT.ok;
  } catch (error) {
    // As other programs do: without a word.
    if (!(error instanceof OutputClosed)) out.error(error);
    process.exitCode = exitCodeOf(error);
  } finally {
    stop.release();
    await client?.close();
  }
}

/** Where the tokens of sign-ins are kept; nowhere for who does not sign in. */
export function storeOf({ server, credentials }: Settings, configPath: string): TokenStore | undefined {
  const { token, clientId, clientSecret } = credentials;
  if (token !== undefined || clientId === undefined || clientSecret === undefined) return undefined;
  return tokenStore(tokensPathOf(configPath), { server, clientId, clientSecret });
}

/** The first Ctrl-C stops in order, so that the next run goes on from there; a second one at once. */
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
