/** `lading calls request|verify|replay|status|phone` */
import { Argument, type Command } from 'commander';
import { run } from '../shared/command.ts';
import { idOf, type Kind } from '../shared/principals.ts';
import { table } from '../shared/values.ts';

const HELP = `
A code of six digits is spoken into a telephone; who hears it types it back. Where the server asks for a second factor
(LADING_REQUIRE_OTP), a call to the number that an administrator registered opens downloads and sharing for the token that
verified it: use an API token (LADING_TOKEN), or the sign-in that these commands keep until it lapses.

Examples:
  $ lading calls phone client camera-7 +14155550123
  $ LADING_TOKEN=… lading calls request +14155550123
  $ LADING_TOKEN=… lading calls verify +14155550123 123456`;

export function addCalls(root: Command): void {
  const calls = root.command('calls').description('codes by telephone').addHelpText('after', HELP);
  calls
    .command('request')
    .description('call a number and speak a code')
    .argument('<phone>', 'with its country code, as +14155550123')
    .option('--message <text>', 'said before the code')
    .action((phone: string, { message }: { message?: string }, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const made = await client.calls.request(phone, { message, signal });
        out.result(made, `${made.message} The code is valid for ${made.expires_in} seconds.`);
        return undefined;
      }),
    );
  calls
    .command('verify')
    .description('is it the code; three tries, once only')
    .argument('<phone>')
    .argument('<code>', 'the six digits')
    .action((phone: string, code: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const said = await client.calls.verify(phone, code, { signal });
        const until = said.second_factor_until;
        out.result(
          said,
          until === null ? said.message : `${said.message} It counts as a second factor until ${until}.`,
        );
        return undefined;
      }),
    );
  calls
    .command('replay')
    .description('speak the same code again')
    .argument('<phone>')
    .action((phone: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const said = await client.calls.replay(phone, { signal });
        out.result(said, said.message);
        return undefined;
      }),
    );
  calls
    .command('status')
    .description('how far the newest code for a number is')
    .argument('<phone>')
    .action((phone: string, _: object, command: Command) =>
      run(command, async ({ client, out, signal }) => {
        const {
          status,
          call,
          tries_left: tries,
          expires_in: seconds,
          ...rest
        } = await client.calls.status(phone, { signal });
        const rows = [
          ['status', status],
          ['call', call],
          ['tries left', String(tries)],
          ['expires in', `${seconds} s`],
        ];
        out.result({ status, call, tries_left: tries, expires_in: seconds, ...rest }, table(rows));
        return undefined;
      }),
    );
  calls
    .command('phone')
    .description('show or set the number that is a second factor; for administrators')
    .addArgument(new Argument('<kind>', 'whose').choices(['client', 'person']))
    .argument('<who>', 'id or name')
    .argument('[phone]', 'the number, or "none" to take it away; without it the one that is set is shown')
    .action((kind: Kind, who: string, phone: string | undefined, _: object, command: Command) =>
      run(command, async (context) => {
        const { client, out, signal } = context;
        const id = await idOf(context, who, { kinds: [kind] });
        const wanted = phone === 'none' ? null : phone;
        const kept =
          wanted === undefined
            ? await client.calls.phoneOf(kind, id, { signal })
            : await client.calls.setPhone(kind, id, wanted, { signal });
        out.result({ phone: kept }, kept ?? 'none');
        return undefined;
      }),
    );
}
