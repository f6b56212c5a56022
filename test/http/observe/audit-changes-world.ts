/** The fixture of the table of audited changes: a running server with one object of every kind. */

import assert from 'node:assert/strict';
import { anna, ask, NEW_PASSWORD, PASSWORD } from '../../support/product/people.ts';
import { sign, type TestServer } from '../../support/product/server.ts';
import type { VoiceProvider } from '../../support/servers/voice-provider.ts';

export const hook = (name: string) => ({
  ...{ kind: 'webhook', name, url: 'https://hook.invalid/hook-path', secret: 'hook-secret-of-the-test' },
});

export type Headers = Record<string, string>;

export type Reply = Record<string, string>;

/** A request, and what its audit entry must say. */
export interface Step {
  path: string;
  body?: object;
  form?: Record<string, string>;
  /** By default those of a root administrator. */
  headers?: Headers;
  /** Null: the id in the reply. */
  target: string | null;
  /** Null: no stored value changes. */
  detail: string | RegExp | null;
}

export class World {
  readonly server: TestServer;
  readonly root: Headers;
  readonly voice: VoiceProvider;
  readonly secrets = new Set([
    PASSWORD,
    NEW_PASSWORD,
    'hook-path',
    'ftp-password',
    'hook-secret-of-the-test',
    'cookie',
  ]);
  #number = 0;

  constructor(server: TestServer, voice: VoiceProvider) {
    this.server = server;
    this.voice = voice;
    this.root = sign(server.app, 'root', 'root').headers;
  }

  name(): string {
    this.#number += 1;
    return `name${this.#number}`;
  }

  /** Creates what a step requires. */
  async made(path: string, body: object, headers: Headers = this.root, method = 'POST'): Promise<Reply> {
    return this.heard(await ask(this.server.origin, path, { method, body, headers }));
  }

  /** The reply, whose secrets must not be in the log. */
  async heard(reply: Response): Promise<Reply> {
    const text = await reply.text();
    assert.ok(reply.ok, `${reply.url}: ${reply.status} ${text}`);
    const heard = (text.startsWith('{') ? JSON.parse(text) : {}) as Reply;
    for (const key of ['token', 'secret', 'client_secret', 'access_token', 'refresh_token']) {
      if (heard[key] !== undefined && !/^\*+$/.test(heard[key])) this.secrets.add(heard[key]);
    }
    return heard;
  }

  async file(name: string): Promise<string> {
    const { origin, client } = this.server;
    const content = `${origin}/api/files/content/${name}`;
    await this.heard(await fetch(content, { method: 'PUT', headers: client.headers, body: 'hello' }));
    return name;
  }

  async target(): Promise<string> {
    const { id } = await this.made('/api/deliveries/targets', hook(this.name()));
    return id ?? '';
  }

  async person(): Promise<{ id: string; email: string }> {
    const email = `${this.name()}@x.example`;
    const { id } = await this.made('/v1/user', { ...anna, email });
    return { id: id ?? '', email };
  }

  get own(): Headers {
    return this.server.client.headers;
  }
}
