/** Helpers of the tests of audio-ftp. */
import assert from 'node:assert/strict';
import type { Account, TestServer } from '../../support/product/server.ts';
import { type Ask, multipart, type OldReply, type Sent, urlencoded } from '../old-client.ts';

export const HOUR = 3600;

export const COMPAT = { LADING_COMPAT: 'audio-ftp' };

/** The time format that these programs parse. */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/;

export class Recorder {
  readonly #ask: Ask;
  readonly account: Pick<Account, 'id' | 'secret'>;
  token = '';
  refreshToken = '';
  expiresAt = '';

  constructor(ask: Ask, account: Pick<Account, 'id' | 'secret'>) {
    this.#ask = ask;
    this.account = account;
  }

  async signIn(): Promise<void> {
    const { id, secret } = this.account;
    const form = { grant_type: 'client_credentials', client_id: id, client_secret: secret };
    const reply = await this.#ask('POST', '/api/oauth/token', urlencoded(form));
    assert.equal(reply.status, 200, reply.text);
    this.#keep(reply);
    this.refreshToken = String(reply.json.refresh_token);
  }

  #keep({ json }: OldReply): void {
    this.token = String(json.access_token);
    this.expiresAt = String(json.expires_at);
    assert.match(this.expiresAt, TIME);
    assert.match(String(json.refresh_token_expires_at), TIME);
  }

  /** Refreshes without id and secret, always with the refresh token of the sign-in. */
  async refresh(): Promise<OldReply> {
    const form = { grant_type: 'refresh_token', refresh_token: this.refreshToken };
    const reply = await this.#ask('POST', '/api/oauth/token', urlencoded(form));
    if (reply.status === 200) this.#keep(reply);
    return reply;
  }

  ask(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<OldReply> {
    return this.#ask(method, path, { headers: { ...headers, authorization: `Bearer ${this.token}` }, body });
  }

  upload(bytes: Uint8Array, name = 'recording.wav', query = ''): Promise<OldReply> {
    return this.ask('POST', `/api/upload${query}`, multipart({}, { field: 'audio_file', name, bytes }));
  }
}

export const FTP = {
  kind: 'ftp',
  name: 'archive',
  host: '127.0.0.1',
  port: 9,
  username: 'rec',
  password: 'wild-geese-1907',
  directory: '/in',
};

export async function addTarget(server: TestServer): Promise<void> {
  const reply = await fetch(`${server.origin}/api/deliveries/targets`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ ...FTP, rule: { prefix: 'nothing/' } }),
  });
  assert.equal(reply.status, 201, await reply.text());
}
