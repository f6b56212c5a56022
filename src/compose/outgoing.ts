/** Creates the clients of the voice provider and of the sign-in providers. */
import type { Agent } from 'undici';
import { providerVoice } from '../calls/provider.ts';
import { sipVoice } from '../calls/sip.ts';
import { consoleVoice, type Voice } from '../calls/voice.ts';
import type { Clock } from '../contracts/clock.ts';
import { type FederatedProvider, openIdProvider, yandexProvider } from '../identity/federation/providers.ts';
import { fetchThrough, outgoingAgent } from '../outgoing/http.ts';
import type { Config } from '../settings/config.ts';
import type { Warn } from './warn.ts';

/** The voice service that speaks codes; null if none is configured. */
export function voiceOf(config: Config, warn: Warn): Voice | null {
  const { voice, voiceUrl, voiceAccount, voiceToken, voiceFrom, sipAddress, sipPassword, publicUrl } = config;
  if (voice === 'console') return consoleVoice((line) => console.log(line));
  if (voice === 'http' && voiceUrl !== null && voiceAccount !== null && voiceToken !== null && voiceFrom !== null) {
    const callback = publicUrl === null ? null : `${publicUrl}/calls/provider`;
    const settings = { url: voiceUrl, account: voiceAccount, token: voiceToken, from: voiceFrom, callback };
    return providerVoice(settings, agentFor([voiceUrl], config, warn));
  }
  if (voice === 'sip' && sipAddress !== null) return sipVoice({ address: sipAddress, password: sipPassword });
  return null;
}

/** The configured sign-in providers. */
export function federatedProviders(config: Config, clock: Clock, warn: Warn): FederatedProvider[] {
  const { oidcIssuer: issuer, oidcClientId, oidcClientSecret, yandexClientId, yandexClientSecret } = config;
  const { yandexOauthUrl: oauthUrl, yandexLoginUrl: loginUrl } = config;
  const found: FederatedProvider[] = [];
  if (issuer !== null && oidcClientId !== null && oidcClientSecret !== null) {
    const fetch = fetchThrough(agentFor([issuer], config, warn));
    found.push(openIdProvider(issuer, { clientId: oidcClientId, clientSecret: oidcClientSecret, fetch, clock }));
  }
  if (yandexClientId !== null && yandexClientSecret !== null && oauthUrl !== null && loginUrl !== null) {
    const fetch = fetchThrough(agentFor([oauthUrl, loginUrl], config, warn));
    const client = { clientId: yandexClientId, clientSecret: yandexClientSecret, fetch, clock };
    found.push(yandexProvider({ oauthUrl, loginUrl }, client));
  }
  return found;
}

/** An HTTP agent that also connects to these origins, which come from settings, if they have private addresses. */
function agentFor(trusted: string[], { webhookPrivate }: Config, warn: Warn): Agent {
  const onRefused = (origin: string): void =>
    warn('a connection was refused: the origin is not on the public internet, and no setting names it', { origin });
  return outgoingAgent({ trusted, allowPrivate: webhookPrivate === 'on', timeoutMs: 10_000, onRefused });
}
