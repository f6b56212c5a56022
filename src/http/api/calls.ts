/** /calls: the server calls a telephone and speaks a code, which the person types in. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { type Calls, CODE_DIGITS, CODE_SECONDS } from '../../calls/calls.ts';
import { phoneOf } from '../../calls/numbers.ts';
import { isSignedByProvider } from '../../calls/provider.ts';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { ownerKey } from '../../identity/rights/policy.ts';
import type { SecondFactor } from '../../identity/second-factor.ts';
import {
  CallCode,
  CallReplay,
  CallRequested,
  CallStatus,
  CallVerified,
  NewCall,
} from '../../protocol/schemas/identity/call.ts';
import { ForeignQuery, Message } from '../../protocol/schemas/parts.ts';
import { iso } from '../../protocol/times.ts';
import type { CallDocument } from '../../records/calls.ts';
import type { Config } from '../../settings/config.ts';
import { credentialOf, missingToken } from '../access/bearer.ts';
import { userIdOf } from '../access/token-owners.ts';
import { ANY_FORM, anyForms, formBodies } from '../body/form.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY, WORKING } from '../request/documented.ts';
import type { PathRules } from '../request/path-rules.ts';

/** What these routes need from the server. */
export interface CallDeps {
  config: Pick<Config, 'idleSeconds' | 'voiceToken'>;
  identity: Identity;
  calls: Calls;
  secondFactor: SecondFactor;
  clock: Clock;
  access: Access;
}

/** Rules for the paths of calls. */
export const CALL_PATHS: PathRules = { folder: '/calls/', repeatsDetail: true };

const tags = ['Calls'];
const NEEDS = 'calls';
const CALLER = [...SIGNED_IN, 'insufficient_scope', 'forbidden', 'invalid_request'] as const;
const FORM = [...CALLER, ...SMALL_BODY] as const;

/** Registers the routes of calls. */
export function callRoutes(app: FastifyInstance, deps: CallDeps): void {
  statusRoute(app, deps);
  app.register(async (forms) => {
    anyForms(forms);
    requestRoute(forms, deps);
    for (const url of ['/calls/verify', '/calls/otp/verify']) verifyRoute(forms, deps, url);
    for (const url of ['/calls/replay', '/calls/otp/replay']) replayRoute(forms, deps, url);
  });
}

function callerOf({ principal: { tenant, id } }: FastifyRequest): string {
  return ownerKey(tenant, id);
}

/** @throws LadingError `invalid_request` */
function numberIn({ phone, phone_number: other }: CallReplay): string {
  const number = phone ?? other;
  if (number === undefined)
    throw new LadingError('invalid_request', 'Send the number as phone, with its country code.');
  return phoneOf(number);
}

/** The digits of a code. A code that was sent as a number lacks its leading zeros. */
function digitsOf(code: string | number): string {
  return String(code).replaceAll(/[\s-]/g, '').padStart(CODE_DIGITS, '0');
}

function secondsLeft({ clock }: CallDeps, { expiresAt }: CallDocument): number {
  return Math.max(0, Math.ceil((expiresAt - clock.steady()) / 1000));
}

function requestRoute(app: FastifyInstance, deps: CallDeps): void {
  app.post<{ Body: NewCall }>('/calls/otp', {
    schema: {
      tags,
      summary: 'Calls a telephone and speaks a code of six digits, valid for five minutes.',
      consumes: ANY_FORM,
      body: NewCall,
      response: { 200: CallRequested },
      documented: { replies: { 200: ['Cache-Control'] }, errors: FORM },
    },
    config: { needs: NEEDS, audit: 'call_requested' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<CallRequested> => {
      const { message = null } = request.body;
      if (message !== null && /\p{Cc}/u.test(message)) {
        throw new LadingError('invalid_request', 'The message contains a control character. Remove it.');
      }
      const phone = numberIn(request.body);
      const call = await deps.calls.request(callerOf(request), phone, message);
      request.audited = { target: phone };
      reply.header('cache-control', 'no-store');
      return { message: `Calling ${phone}.`, session_id: call.id, expires_in: CODE_SECONDS };
    },
  });
}

function verifyRoute(app: FastifyInstance, deps: CallDeps, url: string): void {
  const { calls, secondFactor, config, access, clock } = deps;
  app.post<{ Body: CallCode }>(url, {
    schema: {
      tags,
      summary: 'Verifies a spoken code. A code works once and allows three attempts.',
      description:
        'A verified call to the registered number of the principal counts as a second factor for the session or API token that ' +
        'verified it.',
      consumes: ANY_FORM,
      body: CallCode,
      response: { 200: CallVerified },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...FORM, 'not_found'] },
    },
    config: { needs: NEEDS, audit: 'call_verified' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<CallVerified> => {
      const code = request.body.code ?? request.body.otp;
      const phone = numberIn(request.body);
      if (code === undefined) throw new LadingError('invalid_request', 'Send the six digits as code.');
      const token = credentialOf(request);
      if (token === null) throw missingToken();
      const proof = secondFactor.proofFor(request.principal, access.credentialOf(token), phone);
      const { right, triesLeft } = await calls.verify(callerOf(request), phone, digitsOf(code), proof);
      if (!right) {
        const next = triesLeft === 0 ? 'Request a new code.' : `Attempts left: ${triesLeft}.`;
        throw new LadingError('invalid_request', `The code is wrong. ${next}`, { tries_left: triesLeft });
      }
      if (proof) secondFactor.accept(proof, phone);
      request.audited = { target: phone };
      const until = proof && iso(clock.dateOf(proof.until));
      auditChange(request, { code: 'spoken' }, { code: 'verified', second_factor_until: until });
      reply.header('cache-control', 'no-store');
      return {
        message: 'Verified.',
        verified: true,
        user_id: userIdOf(deps.identity, request),
        second_factor_until: until,
      };
    },
  });
}

function replayRoute(app: FastifyInstance, deps: CallDeps, url: string): void {
  app.post<{ Body: CallReplay }>(url, {
    schema: {
      tags,
      summary: 'Calls again and speaks the same code.',
      consumes: ANY_FORM,
      body: CallReplay,
      response: { 200: CallRequested },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...FORM, 'not_found'] },
    },
    config: { needs: NEEDS, audit: 'call_requested' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<CallRequested> => {
      const phone = numberIn(request.body);
      const call = await deps.calls.replay(callerOf(request), phone);
      request.audited = { target: phone, detail: 'replay' };
      reply.header('cache-control', 'no-store');
      return { message: `Calling ${phone} again.`, session_id: call.id, expires_in: secondsLeft(deps, call) };
    },
  });
}

function statusRoute(app: FastifyInstance, deps: CallDeps): void {
  app.get<{ Params: { phone: string } }>('/calls/otp/status/:phone', {
    schema: {
      tags,
      summary: 'Returns the state of the latest code that you requested for a number.',
      params: Type.Object({ phone: Type.String({ maxLength: 64 }) }),
      response: { 200: CallStatus },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...CALLER, 'not_found'] },
    },
    config: { needs: NEEDS },
    handler: async (request, reply): Promise<CallStatus> => {
      const call = deps.calls.status(callerOf(request), phoneOf(request.params.phone));
      reply.header('cache-control', 'no-store');
      return {
        phone: call.phone,
        session_id: call.id,
        status: call.state,
        call: call.speech,
        tries_left: deps.calls.triesLeft(call),
        expires_in: call.state === 'pending' ? secondsLeft(deps, call) : 0,
        created_at: iso(deps.clock.dateOf(call.createdAt)),
        expires_at: iso(deps.clock.dateOf(call.expiresAt)),
        is_expired: call.expiresAt <= deps.clock.steady(),
        verified: call.state === 'verified',
        attempts: call.tries,
        phone_number: call.phone,
      };
    },
  });
}

/** Outcomes by the status of the voice provider. */
const OUTCOMES: Readonly<Record<string, 'spoken' | 'failed'>> = {
  completed: 'spoken',
  busy: 'failed',
  failed: 'failed',
  'no-answer': 'failed',
  canceled: 'failed',
};

/** Registers the callback of the voice provider, which signs its requests. */
export function voiceProviderRoute(app: FastifyInstance, { calls, config }: CallDeps): void {
  app.register(async (scope) => {
    formBodies(scope);
    scope.post<{ Params: { session_id: string }; Body: Record<string, string> }>('/calls/provider/:session_id', {
      schema: {
        tags,
        summary:
          'Receives the outcome of a call from the voice provider, signed with the token of the account (X-Twilio-Signature).',
        security: [],
        params: Type.Object({ session_id: Type.String({ maxLength: 64 }) }),
        querystring: ForeignQuery,
        response: { 200: Message },
        documented: {
          content: { 'application/x-www-form-urlencoded': { schema: Type.Record(Type.String(), Type.String()) } },
          errors: ['unauthorized', 'invalid_request', ...SMALL_BODY, ...WORKING],
        },
      },
      preParsing: smallBody(config.idleSeconds),
      handler: async (request): Promise<Message> => {
        const signature = request.headers['x-twilio-signature'];
        const url = request.site.url(request.url);
        const { voiceToken: token } = config;
        if (
          token === null ||
          typeof signature !== 'string' ||
          !isSignedByProvider(token, url, request.body ?? {}, signature)
        ) {
          throw new LadingError('unauthorized', 'The signature of the voice provider is missing or wrong.');
        }
        const outcome = OUTCOMES[request.body.CallStatus ?? ''];
        if (outcome) await calls.reportSpeech(request.params.session_id, outcome);
        return { message: 'Noted.' };
      },
    });
  });
}
