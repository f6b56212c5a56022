/** Checks combinations of settings: those that cannot work, and those that are probably a mistake. */
import type { Config, Environment } from './config.ts';
import { ConfigError } from './config-error.ts';
import { variableHint } from './hints.ts';
import { SETTINGS } from './settings.ts';

/** Settings of which either both or none must be set. */
const PAIRS = [
  ['adminId', 'adminSecret'],
  ['oidcIssuer', 'oidcClientSecret'],
  ['oidcIssuer', 'oidcClientId'],
  ['yandexClientId', 'yandexClientSecret'],
  ['tlsCert', 'tlsKey'],
] as const;

function variableOf(name: (typeof PAIRS)[number][number]): string | undefined {
  return SETTINGS.find((setting) => setting.name === name)?.env;
}

/** @throws ConfigError if a setting lacks another one that it depends on */
export function checkCombinations(config: Omit<Config, 'tls'>): void {
  for (const [one, other] of PAIRS) {
    if ((config[one] === null) === (config[other] === null)) continue;
    const [absent, given] = config[one] === null ? [one, other] : [other, one];
    throw new ConfigError(`${variableOf(absent)} must be set together with ${variableOf(given)}`);
  }
  if (config.voice === 'http') {
    for (const [name, value] of [
      ['ACCOUNT', config.voiceAccount],
      ['TOKEN', config.voiceToken],
      ['FROM', config.voiceFrom],
    ] as const) {
      if (value === null) throw new ConfigError(`LADING_VOICE=http needs LADING_VOICE_${name}`);
    }
  }
  if (config.voice === 'sip' && config.sipAddress === null)
    throw new ConfigError('LADING_VOICE=sip needs LADING_SIP_ADDRESS');
}

/** Returns lines for the log about unknown variables and about settings that are probably a mistake. */
export function findWarnings(config: Omit<Config, 'tls'>, env: Environment): string[] {
  const known = new Set<string>(SETTINGS.map((setting) => setting.env));
  const warnings = Object.keys(env)
    .filter((name) => name.startsWith('LADING_') && !known.has(name) && !CLIENT_VARIABLES.has(name))
    .sort()
    .map((name) => `${name} is not a setting of the server${variableHint(name)}; it was ignored`);
  if (config.jwtSecret !== null && config.jwtAlgorithm !== 'HS256') {
    warnings.push(`LADING_JWT_SECRET has no effect with LADING_JWT_ALGORITHM=${config.jwtAlgorithm}`);
  }
  if (config.voice === 'console')
    warnings.push('LADING_VOICE=console shows the codes of calls in this terminal; use it for development only');
  if (config.requireOtp.length > 0 && config.voice === 'off') {
    warnings.push(
      'LADING_REQUIRE_OTP requires verified calls, but LADING_VOICE=off places no calls: nobody can perform the actions that it protects',
    );
  }
  return warnings;
}

/** Variables that the command line reads. They cause no warning, because the same shell may set them. */
export const CLIENT_VARIABLES: ReadonlySet<string> = new Set([
  'LADING_SERVER',
  'LADING_TOKEN',
  'LADING_CLIENT_ID',
  'LADING_CLIENT_SECRET',
  'LADING_CONFIG',
  'LADING_CA',
  'LADING_TARGET_PASSWORD',
]);
