/** Stories of people and of how they sign in: see `stories.ts`. */
import assert from 'node:assert/strict';
import type { CallVerified } from '../../src/protocol/schemas/identity/call.ts';
import type { SignedIn } from '../../src/protocol/schemas/identity/people.ts';
import { eventually } from '../support/eventually.ts';
import { anna, ask, cookiesOf, PASSWORD, register, login as signInAs } from '../support/product/people.ts';
import type { VoiceProvider } from '../support/servers/voice-provider.ts';
import { Browser } from '../support/wire/browser.ts';
import { ALPHABET, put } from '../support/wire/downloads.ts';
import type { Story } from './stories.ts';

const PHONE = '+14155552671';

async function statusOf(reply: Promise<Response>): Promise<number> {
  const got = await reply;
  await got.arrayBuffer();
  return got.status;
}

function addressOf(name: string): string {
  return `${name.replaceAll(/\W/g, '-')}@x.example`;
}

/** Signs in with the right password, and is refused with a wrong one. */
export const password: Story = async ({ server: { origin }, name, step }) => {
  const email = addressOf(name);
  await register(origin, { ...anna, email });
  const wrong = { email, password: `${PASSWORD}, perhaps` };
  await step();
  // Only once, because failures count for the whole address.
  assert.equal(await statusOf(ask(origin, '/v1/auth/login', { body: wrong })), 401);
  for (let n = 0; n < 3; n += 1) {
    await step();
    await signInAs(origin, email);
  }
};

/** A signed-in browser: its cookies are refreshed, and invalid after it has signed out. */
export const cookies: Story = async ({ server: { origin }, name, step }) => {
  const email = addressOf(name);
  let { cookie } = await register(origin, { ...anna, email });
  const me = (): Promise<number> => statusOf(ask(origin, '/v1/auth/me', { headers: { cookie } }));
  const page = { origin, 'sec-fetch-site': 'same-origin' };
  for (let n = 0; n < 4; n += 1) {
    await step();
    assert.equal(await me(), 200);
    await step();
    const renewed = await ask(origin, '/v1/auth/refresh', { method: 'POST', headers: { cookie, ...page }, body: {} });
    assert.equal(renewed.status, 200, await renewed.clone().text());
    await renewed.arrayBuffer();
    cookie = cookiesOf(renewed);
  }
  assert.equal(
    await statusOf(ask(origin, '/v1/auth/logout', { method: 'POST', headers: { cookie, ...page }, body: {} })),
    200,
  );
  for (let n = 0; n < 2; n += 1) {
    await step();
    assert.equal(await me(), 401, 'the session has ended');
  }
};

/** Signs in with an external provider. */
export const externalProvider: Story = async ({ server: { origin }, step }) => {
  const begun = await ask(origin, '/v1/auth/yandex/login');
  assert.equal(begun.status, 302, await begun.text());
  const cookie = cookiesOf(begun);
  await step();
  const provider = new URL(begun.headers.get('location') ?? '');
  provider.searchParams.set('login', 'ada');
  const back = await fetch(provider, { redirect: 'manual' });
  await back.arrayBuffer();
  await step();
  const path = (back.headers.get('location') ?? '').replace(origin, '');
  const arrived = await ask(origin, path, { headers: { cookie } });
  assert.equal(arrived.status, 200, await arrived.clone().text());
  const { access_token: token } = (await arrived.json()) as SignedIn;
  await step();
  const headers = { authorization: `Bearer ${token}` };
  assert.equal(await statusOf(ask(origin, '/v1/auth/me', { headers })), 200);
};

/** Signs in with an OpenID provider, whose ID tokens are valid for an hour by its own clock. `publicUrl` is the public URL of the server. */
export function openId(publicUrl: string): Story {
  const isBack = (url: string): boolean => url.startsWith(`${publicUrl}/v1/auth/`);
  return async ({ server: { origin }, step }) => {
    const browser = new Browser();
    const page = await browser.go(`${origin}/v1/auth/oidc/login`, isBack);
    await step();
    const consent = await browser.submit(page, { prompt: 'login', login: 'ada', password: 'x' }, isBack);
    await step();
    const back = isBack(consent.url) ? consent : await browser.submit(consent, { prompt: 'consent' }, isBack);
    await step();
    const arrived = await browser.ask(back.url.replace(publicUrl, origin));
    assert.equal(arrived.status, 200, arrived.body);
  };
}

/** A page that plays a file through a player URL. */
export const player: Story = async ({ server, name, step }) => {
  const { origin, client } = server;
  await put(server, name, 0, ALPHABET, { total_size: '26' });
  const opened = await fetch(`${origin}/api/files/player/${name}`, { method: 'POST', headers: client.headers });
  assert.equal(opened.status, 201, await opened.clone().text());
  const { url, player_id: id } = (await opened.json()) as { url: string; player_id: string };
  const cookie = opened.headers.get('set-cookie')?.split(';')[0] ?? '';
  const play = (): Promise<number> => statusOf(fetch(`${origin}${url}`, { headers: { cookie } }));
  for (let n = 0; n < 3; n += 1) {
    await step();
    assert.equal(await play(), 200);
  }
  const ended = fetch(`${origin}/api/players/${id}`, { method: 'DELETE', headers: client.headers });
  assert.equal(await statusOf(ended), 200);
  await step();
  assert.equal(await play(), 404);
};

/** A second factor by telephone on a server that requires it for share links. */
export function secondFactor(voice: VoiceProvider): Story {
  return async ({ server, name, step }) => {
    const { origin, admin, client } = server;
    await put(server, name, 0, ALPHABET, { total_size: '26' });
    const phones = `/api/phones/client/${client.id}`;
    const register = { method: 'PUT', headers: { ...admin.headers }, body: { phone: PHONE } };
    assert.equal(await statusOf(ask(origin, phones, register)), 200);
    const created = await ask(origin, '/api/tokens', {
      headers: { ...client.headers },
      body: { scopes: ['files:read', 'files:write'] },
    });
    const headers = { authorization: `Bearer ${((await created.json()) as { token: string }).token}` };
    const share = (): Promise<number> => statusOf(ask(origin, `/api/files/share/${name}`, { headers, body: {} }));
    await step();
    assert.equal(await share(), 403);
    const placed = voice.placed.length;
    assert.equal(await statusOf(ask(origin, '/calls/otp', { headers, body: { phone: PHONE } })), 200);
    await eventually(() => voice.placed.length > placed, 'the call');
    await step();
    const code = voice.placed.at(-1)?.code ?? '';
    const verified = await ask(origin, '/calls/verify', { headers, body: { phone: PHONE, code } });
    assert.equal(verified.status, 200, await verified.clone().text());
    assert.notEqual(((await verified.json()) as CallVerified).second_factor_until, null);
    for (let n = 0; n < 3; n += 1) {
      await step();
      assert.equal(await share(), 201);
    }
    assert.equal(await statusOf(ask(origin, '/calls/verify', { headers, body: { phone: PHONE, code } })), 404);
  };
}
