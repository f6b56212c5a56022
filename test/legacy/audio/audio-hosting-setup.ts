/** Helpers of the tests of audio-hosting. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { wav } from '../../support/audio.ts';
import { type HandClock, handClock } from '../../support/product/clock.ts';
import { PASSWORD } from '../../support/product/people.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { CLIENT, startYandex } from '../../support/servers/providers.ts';
import { CookieJar } from '../cookie-jar.ts';
import { multipart, type OldReply } from '../old-client.ts';

export const ANNA = { name: 'Anna', email: 'anna@x.example', password: PASSWORD, password2: PASSWORD };

export const BOSS = { name: 'Boss', surname: 'Byron', email: 'boss@x.example', password: PASSWORD, role: 'admin' };

export const TONE = wav({ seconds: 0.1 });

/** A program that authenticates with cookies only. */
export class Program extends CookieJar {
  signIn(email: string, password = PASSWORD): Promise<OldReply> {
    return this.json('POST', '/v1/auth/login', { email, password });
  }

  refresh(): Promise<OldReply> {
    return this.json('POST', '/v1/auth/refresh', {});
  }

  send(name: string): Promise<OldReply> {
    return this.ask('POST', '/v1/audio/file', multipart({}, { field: 'file', name, bytes: TONE }));
  }

  /** Repeats a request after a refresh if its token expired. */
  async again(ask: () => Promise<OldReply>): Promise<OldReply> {
    const reply = await ask();
    if (reply.status !== 401) return reply;
    const renewed = await this.refresh();
    assert.equal(renewed.status, 200, renewed.text);
    return ask();
  }
}

export interface Stage {
  server: TestServer;
  clock: HandClock;
}

export async function begin(t: TestContext, settings: Record<string, string>): Promise<Stage> {
  const clock = handClock(Date.now());
  const yandex = await startYandex(t, {});
  const all = {
    LADING_REGISTRATION: 'open',
    LADING_YANDEX_CLIENT_ID: CLIENT.id,
    LADING_YANDEX_CLIENT_SECRET: CLIENT.secret,
    LADING_YANDEX_OAUTH_URL: yandex,
    LADING_YANDEX_LOGIN_URL: yandex,
    ...settings,
  };
  const server = await startServer(t, all, { clock });
  const created = await fetch(`${server.origin}/v1/user`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify(BOSS),
  });
  assert.equal(created.status, 201, await created.text());
  return { server, clock };
}
