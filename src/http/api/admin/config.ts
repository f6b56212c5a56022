/** GET /api/config: settings that clients may see. */
import type { FastifyInstance } from 'fastify';
import { plainName, type Targets } from '../../../delivery/targets.ts';
import { maySeeTargets } from '../../../identity/rights/policy.ts';
import { type FlatTarget, ServerConfig } from '../../../protocol/schemas/config.ts';
import type { NamedTarget } from '../../../protocol/schemas/delivery.ts';
import type { TargetDocument } from '../../../records/delivery.ts';
import type { Config } from '../../../settings/config.ts';
import { SETTINGS, type Setting } from '../../../settings/settings.ts';
import { version } from '../../../version.ts';
import { MASK, shownTarget } from '../../native/delivery-views.ts';
import { recorderRefusal } from '../../problems/recorder-refusals.ts';
import { SIGNED_IN } from '../../request/documented.ts';

type ShownSetting = keyof Config & (typeof SETTINGS)[number]['name'];
type Section = Exclude<keyof ServerConfig, 'version' | keyof FlatTarget>;
type Values = ServerConfig['server'];

/** The settings of each section; the table of settings knows which are secret. */
const SECTIONS = {
  server: ['publicUrl', 'registration'],
  limits: ['maxChunkBytes', 'maxFileBytes', 'ratePrincipal', 'rateToken', 'rateAddress'],
  durations: [
    'tokenMinutes',
    'refreshDays',
    'sessionDays',
    'accountDays',
    'staleSeconds',
    'staleRemoveDays',
    'openEndedSeconds',
    'idleSeconds',
  ],
  signing: ['jwtAlgorithm', 'jwtRotateDays', 'jwtSecret'],
  delivery: ['deliveryParallel', 'deliveryAttempts', 'deliveryRetrySeconds', 'webhookPrivate', 'sealingKey'],
} as const satisfies Record<Section, readonly ShownSetting[]>;

type ShownConfig = Pick<Config, (typeof SECTIONS)[Section][number]>;

/** What this route needs from the server. */
export interface ConfigDeps {
  config: ShownConfig & Pick<Config, 'compat'>;
  targets: Targets;
}

/** Registers the route of settings. */
export function configRoute(app: FastifyInstance, { config, targets }: ConfigDeps): void {
  const section = (name: Section): Values => valuesOf(config, SECTIONS[name]);
  // These sections do not change while the server runs.
  const fixed = {
    version: version(),
    server: section('server'),
    limits: section('limits'),
    durations: section('durations'),
    signing: section('signing'),
  };
  const delivery = section('delivery');
  app.get('/api/config', {
    schema: {
      tags: ['Administration'],
      summary: 'Returns limits, durations and other settings of the server, with secrets masked.',
      response: { 200: ServerConfig },
      documented: { replies: { 200: ['Cache-Control'] }, errors: SIGNED_IN },
    },
    config: { needs: 'sign-in', refusal: recorderRefusal },
    handler: async (request, reply): Promise<ServerConfig> => {
      reply.header('cache-control', 'no-store');
      const seesAll = maySeeTargets(request.principal);
      const all = targets.list(request.principal.tenant);
      const shown = seesAll ? shownTarget : (target: TargetDocument): NamedTarget => ({ name: plainName(target) });
      const sentTo = all.map(shown);
      return {
        ...fixed,
        delivery: { settings: delivery, targets: sentTo },
        ...flatTarget(
          all.find(({ kind }) => kind !== 'webhook'),
          seesAll || config.compat.allows('showFtpTarget'),
        ),
      };
    },
  });
}

/** The first FTP target in the form that recorders of an older server read. Every key is null if there is no target or the caller may not see it. */
function flatTarget(target: TargetDocument | undefined, isVisible: boolean): FlatTarget {
  if (!isVisible || target === undefined || target.kind === 'webhook')
    return { host: null, port: null, username: null, password: null, directory: null };
  const { host, port, username, directory } = target;
  return { host, port, username, password: MASK, directory };
}

function valuesOf(config: ShownConfig, names: readonly string[]): Values {
  const settings: readonly Setting[] = SETTINGS.filter(({ name }) => names.includes(name));
  return Object.fromEntries(
    settings.map(({ name, env, kind }) => {
      const value: unknown = Reflect.get(config, name);
      const plain = typeof value === 'string' || typeof value === 'number' ? value : null;
      return [env.replace('LADING_', '').toLowerCase(), kind === 'secret' && plain !== null ? MASK : plain];
    }),
  );
}
