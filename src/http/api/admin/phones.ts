/** /api/phones: administrators register telephones for the second factor. */
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { phoneOf } from '../../../calls/numbers.ts';
import { LadingError } from '../../../errors.ts';
import type { Identity } from '../../../identity/directory/identity.ts';
import { mayManage, reachesTenant } from '../../../identity/rights/policy.ts';
import { RegisteredPhone } from '../../../protocol/schemas/identity/call.ts';
import type { Principal } from '../../../records/principal.ts';
import type { DeviceDocument, PersonDocument } from '../../../records/subjects.ts';
import type { Config } from '../../../settings/config.ts';
import { jsonBodies } from '../../body/json.ts';
import { auditChange } from '../../observe/audit-change.ts';
import { smallBody } from '../../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface PhoneDeps {
  config: Pick<Config, 'idleSeconds'>;
  identity: Identity;
}

const tags = ['Calls'];
const ADMIN = [...SIGNED_IN, 'insufficient_scope', 'not_found'] as const;

const HolderParams = Type.Object({
  kind: Type.Unsafe<'client' | 'person'>({ type: 'string', enum: ['client', 'person'] }),
  id: Type.String({ maxLength: 128 }),
});
type HolderParams = Static<typeof HolderParams>;

/** Registers the routes of telephones. */
export function phoneRoutes(app: FastifyInstance, deps: PhoneDeps): void {
  app.get<{ Params: HolderParams }>('/api/phones/:kind/:id', {
    schema: {
      tags,
      summary: 'Returns the registered telephone of a client or person.',
      params: HolderParams,
      response: { 200: RegisteredPhone },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ADMIN },
    },
    config: { needs: 'role:admin' },
    handler: async (request, reply): Promise<RegisteredPhone> => {
      reply.header('cache-control', 'no-store');
      return { phone: holderOf(deps, request.principal, request.params).phone ?? null };
    },
  });
  app.register(async (json) => setRoute(json, deps));
}

function setRoute(app: FastifyInstance, deps: PhoneDeps): void {
  const { clients, people } = deps.identity;
  jsonBodies(app);
  app.put<{ Params: HolderParams; Body: RegisteredPhone }>('/api/phones/:kind/:id', {
    schema: {
      tags,
      summary:
        'Registers the telephone whose verified calls count as a second factor for a client or person; null removes it.',
      params: HolderParams,
      body: RegisteredPhone,
      response: { 200: RegisteredPhone },
      documented: { errors: [...ADMIN, 'invalid_request', ...SMALL_BODY] },
    },
    config: { needs: 'role:admin', audit: 'phone_set' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request): Promise<RegisteredPhone> => {
      const { kind, id } = request.params;
      const { role, tenant } = holderOf(deps, request.principal, request.params);
      request.audited = { tenant };
      if (!mayManage(request.principal, role)) {
        throw new LadingError(
          'insufficient_scope',
          `You cannot set the telephone of a client or person with the role ${role}.`,
        );
      }
      const phone = request.body.phone === null ? null : phoneOf(request.body.phone);
      const { phone: before } = (kind === 'client' ? clients.find(id) : people.get(id)) ?? {};
      if (!(await (kind === 'client' ? clients : people).setPhone(id, phone))) throw noHolder();
      auditChange(request, { phone: before }, { phone });
      return { phone };
    },
  });
}

/** The client or person of the path. @throws LadingError `not_found`, also for another tenant */
function holderOf(
  { identity }: PhoneDeps,
  principal: Principal,
  { kind, id }: HolderParams,
): DeviceDocument | PersonDocument {
  const holder = kind === 'client' ? identity.clients.find(id) : kind === 'person' ? identity.people.get(id) : null;
  if (!holder || !reachesTenant(principal, holder.tenant)) throw noHolder();
  return holder;
}

function noHolder(): LadingError {
  return new LadingError('not_found', 'There is no client or person with this id.');
}
