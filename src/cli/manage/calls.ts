/** `lading calls request|verify|replay|status|phone` */
import { Argument, type Command } from 'commander';
import { run } from '../shared/command.ts';
import { idOf, type Kind } from '../shared/principals.ts';
import { table } from '../shared/values.ts';

const HELP = `
The server calls a phone and speaks a six-digit code, which you then verify. If the server requires a second factor
(LADING_REQUIRE_OTP), verifying a call to the registered phone number enables downloads and sharing for the token that was
used: an API token (LADING_TOKEN), or the session that these commands keep until it expires.

Examples:
  $ lading calls phone client camera-7 +14155550123
  $ LADING_TOKEN=… lading calls request +14155550123
  $ LADING_TOKEN=… lading calls verify +14155550123 123456`;

export function addCalls(root: Command): void {
  const calls = root.command('calls').description('verify phone numbers with a spoken code').addHelpText('after', HELP);
  addRequest(calls);
  addVerify(calls);
  addReplay(calls);
  addStatus(calls);
  addPhone(calls);
}

function addRequest(calls: Command): void {
  calls
    .command('request')
    .description('call a number and speak a code')
    .argument('<phone>', 'number with country code, such as +14155550123')
    .option('--message <text>', 'text that is spoken before the code')
    .action((phone: string, { message }: { message?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const requested = await client.calls.request(phone, { message, signal });
        out.result(requested, `${requested.message} The code is valid for ${requested.expires_in} seconds.`);
        return undefined;
      }),
    );
}

function addVerify(calls: Command): void {
  calls
    .command('verify')
    .description('verify a code; each code works once, and three wrong attempts invalidate it')
    .argument('<phone>', 'number that was called')
    .argument('<code>', 'the six digits')
    .action((phone: string, code: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const verified = await client.calls.verify(phone, code, { signal });
        const { message, second_factor_until: until } = verified;
        out.result(verified, until === null ? message : `${message} It counts as a second factor until ${until}.`);
        return undefined;
      }),
    );
}

function addReplay(calls: Command): void {
  calls
    .command('replay')
    .description('call again and speak the same code')
    .argument('<phone>', 'number that was called')
    .action((phone: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const requested = await client.calls.replay(phone, { signal });
        out.result(requested, requested.message);
        return undefined;
      }),
    );
}

function addStatus(calls: Command): void {
  calls
    .command('status')
    .description('show the status of the newest code for a number')
    .argument('<phone>', 'number that was called')
    .action((phone: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const status = await client.calls.status(phone, { signal });
        const rows = [
          ['status', status.status],
          ['call', status.call],
          ['attempts left', String(status.tries_left)],
          ['expires in', `${status.expires_in} s`],
        ];
        out.result(status, table(rows));
        return undefined;
      }),
    );
}

function addPhone(calls: Command): void {
  calls
    .command('phone')
    .description('show or set the number for the second factor (administrators only)')
    .addArgument(new Argument('<kind>', 'kind of principal').choices(['client', 'person']))
    .argument('<who>', 'id or name')
    .argument('[phone]', 'new number, or "none" to remove it (default: show the current number)')
    .action((kind: Kind, who: string, phone: string | undefined, _: object, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const id = await idOf(context, who, { kinds: [kind] });
        const current =
          phone === undefined
            ? await client.calls.phoneOf(kind, id, { signal })
            : await client.calls.setPhone(kind, id, phone === 'none' ? null : phone, { signal });
        out.result({ phone: current }, current ?? 'none');
        return undefined;
      }),
    );
}
