/** /api/deliveries: administrators manage targets and deliveries. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import type { Deliveries } from '../../delivery/deliveries.ts';
import { isAnonymous } from '../../delivery/send/ftp-session.ts';
import { DEFAULT_PATTERN, isPattern } from '../../delivery/send/naming.ts';
import type { Targets, NewTarget as TargetToAdd } from '../../delivery/targets.ts';
import { isWebhookSecret, makeWebhookSecret } from '../../delivery/webhook.ts';
import { LadingError } from '../../errors.ts';
import { NOTHING, targetValues } from '../../identity/audit-changes.ts';
import { reachesAllTenants, reachesTenant, tenantOf } from '../../identity/rights/policy.ts';
import { checkPublicHost, checkWebhookUrl, mayBePrivate } from '../../outgoing/addresses.ts';
import {
  Delivery,
  DeliveryPage,
  DeliveryQuery,
  NewTarget,
  Target,
  TargetChange,
  TargetCreated,
  TargetList,
} from '../../protocol/schemas/delivery.ts';
import { TenantQuery } from '../../protocol/schemas/identity/tenant.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import type { DeliveryRule } from '../../records/delivery.ts';
import type { Principal } from '../../records/principal.ts';
import type { Config } from '../../settings/config.ts';
import { jsonBodies } from '../body/json.ts';
import { shownDelivery, shownTarget } from '../native/delivery-views.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../request/documented.ts';

/** What these routes need from the server. */
export interface DeliveryDeps {
  config: Pick<Config, 'idleSeconds' | 'webhookPrivate'>;
  targets: Targets;
  deliveries: Deliveries;
  clock: Clock;
}

const tags = ['Delivery'];
const ADMIN = [...SIGNED_IN, 'insufficient_scope'] as const;
const FTP_PORT = 21;
/** FTPS with TLS from the first byte. */
const IMPLICIT_PORT = 990;

/** Registers the routes of targets and deliveries. */
export function deliveryRoutes(app: FastifyInstance, deps: DeliveryDeps): void {
  listTargetsRoute(app, deps);
  deleteTargetRoute(app, deps);
  listRoute(app, deps);
  retryRoute(app, deps);
  app.register(async (json) => createRoute(json, deps));
}

function listTargetsRoute(app: FastifyInstance, { targets }: Pick<DeliveryDeps, 'targets'>): void {
  app.get<{ Querystring: TenantQuery }>('/api/deliveries/targets', {
    schema: {
      tags,
      summary: 'Lists the targets for complete files and events. Passwords and keys are masked.',
      querystring: TenantQuery,
      response: { 200: TargetList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...ADMIN, 'forbidden'] },
    },
    config: { needs: 'role:admin' },
    handler: async (request, reply): Promise<TargetList> => {
      reply.header('cache-control', 'no-store');
      return { targets: targets.list(tenantOf(request.principal, request.query.tenant)).map(shownTarget) };
    },
  });
}

function deleteTargetRoute(app: FastifyInstance, { targets, deliveries }: DeliveryDeps): void {
  app.delete<{ Params: { target_id: string } }>('/api/deliveries/targets/:target_id', {
    schema: {
      tags,
      summary: 'Deletes a target and cancels its waiting deliveries.',
      params: Type.Object({ target_id: Type.String({ maxLength: 64 }) }),
      response: { 200: Message },
      documented: { errors: [...ADMIN, 'not_found'] },
    },
    config: { needs: 'role:admin', audit: 'target_deleted' },
    handler: async (request): Promise<Message> => {
      const target = targets.find(request.params.target_id);
      if (!target || !reachesTenant(request.principal, target.tenant)) {
        throw new LadingError('not_found', 'There is no target with this id.');
      }
      request.audited = { tenant: target.tenant };
      await deliveries.removeTarget(target);
      auditChange(request, targetValues(target), NOTHING);
      return { message: `Target ${target.name} deleted.` };
    },
  });
}

function listRoute(app: FastifyInstance, deps: DeliveryDeps): void {
  const { deliveries } = deps;
  app.get<{ Querystring: DeliveryQuery }>('/api/deliveries', {
    schema: {
      tags,
      summary: 'Lists deliveries, newest first, in pages.',
      querystring: DeliveryQuery,
      response: { 200: DeliveryPage },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...ADMIN, 'forbidden'] },
    },
    config: { needs: 'role:admin' },
    handler: async (request, reply): Promise<DeliveryPage> => {
      const { limit = 100, cursor = null, state = null, target: targetId = null, tenant: requested } = request.query;
      const all = reachesAllTenants(request.principal) && requested === undefined;
      const tenant = all ? null : tenantOf(request.principal, requested);
      reply.header('cache-control', 'no-store');
      const page = deliveries.page({ tenant, state, targetId }, cursor, limit);
      return {
        deliveries: page.deliveries.map((delivery) => shownDelivery(deps, delivery)),
        next_cursor: page.nextCursor,
      };
    },
  });
}

function retryRoute(app: FastifyInstance, deps: DeliveryDeps): void {
  const { deliveries } = deps;
  app.post<{ Params: { id: string } }>('/api/deliveries/:id/retry', {
    schema: {
      tags,
      summary: 'Retries a delivery at once and gives it all its attempts again.',
      params: Type.Object({ id: Type.String({ maxLength: 64 }) }),
      response: { 200: Delivery },
      documented: { errors: [...ADMIN, 'not_found', 'invalid_request'] },
    },
    config: { needs: 'role:admin', audit: 'delivery_retried' },
    handler: async (request): Promise<Delivery> => {
      const delivery = deliveries.find(request.params.id);
      if (!delivery || !reachesTenant(request.principal, delivery.tenant)) {
        throw new LadingError('not_found', 'There is no delivery with this id.');
      }
      request.audited = { tenant: delivery.tenant };
      const before = deliveries.stateOf(delivery);
      const after = await deliveries.retry(delivery);
      auditChange(request, { state: before }, { state: after.state });
      return shownDelivery(deps, after);
    },
  });
}

function changeRoute(app: FastifyInstance, { config, targets, deliveries }: DeliveryDeps): void {
  app.patch<{ Params: { target_id: string }; Body: TargetChange }>('/api/deliveries/targets/:target_id', {
    schema: {
      tags,
      summary:
        'Disables or enables a target. Disabling cancels its waiting deliveries; no delivery is queued until it is enabled again.',
      params: Type.Object({ target_id: Type.String({ maxLength: 64 }) }),
      body: TargetChange,
      response: { 200: Target },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: [...ADMIN, ...SMALL_BODY, 'not_found'],
      },
    },
    config: { needs: 'role:admin', audit: 'target_changed' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Target> => {
      const { body, params, principal } = request;
      const target = targets.find(params.target_id);
      if (!target || !reachesTenant(principal, target.tenant)) {
        throw new LadingError('not_found', 'There is no target with this id.');
      }
      request.audited = { tenant: target.tenant };
      const reason = 'An administrator disabled it.';
      const isSame = body.disabled === (target.disabled !== undefined);
      const change = () => (body.disabled ? deliveries.disableTarget(target, reason) : deliveries.enableTarget(target));
      const after = isSame ? target : await change();
      if (!after) throw new LadingError('not_found', 'The target was deleted during the request.');
      auditChange(request, targetValues(target), targetValues(after));
      reply.header('cache-control', 'no-store');
      return shownTarget(after);
    },
  });
}

function createRoute(app: FastifyInstance, deps: DeliveryDeps): void {
  jsonBodies(app);
  changeRoute(app, deps);
  app.post<{ Body: NewTarget; Querystring: TenantQuery }>('/api/deliveries/targets', {
    schema: {
      tags,
      summary: 'Creates a target. Files that become complete from now on are delivered to it.',
      querystring: TenantQuery,
      body: NewTarget,
      response: { 201: TargetCreated },
      documented: {
        replies: { 201: ['Cache-Control'] },
        errors: [
          ...ADMIN,
          ...SMALL_BODY,
          ...(['forbidden', 'invalid_request', 'already_exists', 'quota_exceeded'] as const),
        ],
      },
    },
    config: { needs: 'role:admin', audit: 'target_created' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<TargetCreated> => {
      const wanted = targetOf(request.principal, request.query.tenant, request.body, deps);
      request.audited = { tenant: wanted.tenant };
      const created = await deps.targets.add(wanted);
      auditChange(request, NOTHING, targetValues(created));
      // The secret is shown only once.
      reply.code(201).header('cache-control', 'no-store');
      return created.kind === 'webhook' ? { ...shownTarget(created), secret: wanted.secret } : shownTarget(created);
    },
  });
}

/** @throws LadingError `invalid_request`, `forbidden` */
function targetOf(
  principal: Principal,
  requested: string | undefined,
  body: NewTarget,
  deps: DeliveryDeps,
): TargetToAdd {
  const tenant = tenantOf(principal, requested);
  const rule = ruleOf(body);
  const { kind } = body;
  if (kind === 'webhook') {
    const { url, events = ['file.completed'], secret = makeWebhookSecret(), content = 'event' } = body;
    if (url === undefined) throw invalid('url is required for a webhook.');
    if (events.length === 0) throw invalid('events must name at least one event.');
    if (content === 'file' && events.some((type) => type !== 'file.completed')) {
      throw invalid('A webhook with content=file receives no events. Create another webhook for events.');
    }
    if (!isWebhookSecret(secret))
      throw invalid('The secret of a webhook must have at least 16 bytes. Omit it to generate one.');
    const { href, host } = checkWebhookUrl(url, deps.config.webhookPrivate === 'on');
    return { kind, tenant, rule, secret, name: body.name ?? host, url: href, events: [...new Set(events)], content };
  }
  const { username = 'anonymous', password = '', directory = '', ca = null, pattern = DEFAULT_PATTERN } = body;
  const { host, port, implicit } = ftpAddressOf(body);
  for (const [name, text] of Object.entries({ host, username, password, directory })) {
    // They become parts of FTP commands, which end at a line break.
    if (/\p{Cc}/u.test(text)) throw invalid(`${name} contains a control character.`);
  }
  if (!/^[\w.:-]+$/.test(host))
    throw invalid('The host of an FTP server must be a name or an address, without a scheme.');
  if (!mayBePrivate(tenant, deps.config.webhookPrivate === 'on')) checkPublicHost(host);
  if (!isPattern(pattern)) {
    throw invalid(
      'A pattern must contain {name} or {id}, no slash, and no placeholders except {date} {time} {client_id} {name} {id}.',
    );
  }
  if (password === '' && !isAnonymous(username)) {
    throw invalid(`Send the password of ${username}. For anonymous FTP, omit username.`);
  }
  if (ca !== null && !ca.includes('-----BEGIN CERTIFICATE-----'))
    throw invalid('ca must be a certificate in PEM format.');
  const name = body.name ?? host;
  const server = { host, port, username, directory, pattern, ca, ...(implicit ? { implicit: true as const } : {}) };
  return { kind, tenant, rule, name, secret: password, ...server };
}

/** The address of an FTP server. `ftps://host` means FTPS with TLS from the first byte. */
function ftpAddressOf({ kind, host: text, port, security }: NewTarget) {
  if (text === undefined) throw invalid('host is required for an FTP server.');
  const secured = /^ftps:\/\/([^/]+)\/?$/i.exec(text)?.[1];
  if (security !== undefined && kind !== 'ftps') throw invalid('security is valid only for the kind ftps.');
  if (secured !== undefined && kind !== 'ftps') throw invalid('ftps:// is valid only for the kind ftps.');
  const implicit = security === undefined ? secured !== undefined : security === 'implicit';
  const [, name = text, own] = /^\[?([\w.-]+|[0-9a-f:.]+(?=\]))\]?(?::(\d{1,5}))?$/i.exec(secured ?? '') ?? [];
  if (own !== undefined && port !== undefined && Number(own) !== port)
    throw invalid('host and port contain different ports.');
  const chosen = own === undefined ? port : Number(own);
  if (chosen !== undefined && (chosen < 1 || chosen > 65_535)) throw invalid('port must be from 1 to 65535.');
  return { host: name, port: chosen ?? (implicit ? IMPLICIT_PORT : FTP_PORT), implicit };
}

function ruleOf({ rule: { owner = null, prefix = '', type = null } = {} }: NewTarget): DeliveryRule {
  const essence = type?.toLowerCase() ?? null;
  if (essence !== null && !/^[\w.+-]+\/([\w.+-]+|\*)$/.test(essence)) {
    throw invalid('The media type must look like audio/wav, or audio/* for all audio types.');
  }
  return { owner, prefix, type: essence?.replace(/\*$/, '') ?? null };
}

function invalid(detail: string): LadingError {
  return new LadingError('invalid_request', detail);
}
