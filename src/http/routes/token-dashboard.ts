/**
 * /api/tokens/dashboard: the API tokens of the default tenant as plain pages, for who knows DASHBOARD_PASSWORD. Without that setting the
 * path leads to the dashboard's own page of tokens, where one signs in as everywhere else. No script runs in these pages.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiTokenDocument } from '../../contracts.ts';
import { LadingError } from '../../errors.ts';
import { checkGrant, DEFAULT_TENANT, type TokenOwner } from '../../identity/policy.ts';
import { principalOf } from '../../identity/principals.ts';
import { LONGEST_SECONDS, wholeNumber } from '../../protocol/bounds.ts';
import { parseScopes, SCOPES } from '../../protocol/scopes.ts';
import { iso } from '../../protocol/times.ts';
import { refuseForeign, wantsSecureCookies } from '../csrf.ts';
import type { RouteDeps } from '../deps.ts';
import { formBodies } from '../form.ts';
import { smallBody } from '../refuse.ts';
import type { Site } from '../site.ts';
import { dashboardStyle } from './dashboard.ts';

const STYLE = dashboardStyle();
const PATH = '/api/tokens/dashboard';
const COOKIE = 'token_dashboard';
const SESSION_MS = 8 * 3600 * 1000;
const MOST_SESSIONS = 100;
const LIVES: [seconds: number, title: string][] = [
  [0, 'until it is revoked'],
  [86_400, 'a day'],
  [30 * 86_400, '30 days'],
  [365 * 86_400, 'a year'],
];
const POLICY =
  "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src data:";

type Form = Map<string, string>;

export function tokenDashboardRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const { config, identity, throttle, clock } = deps;
  const password = config.dashboardPassword;
  const sessions = new Sessions(() => clock.monotonic());
  const hidden = { schema: { hide: true } } as const;
  if (password === null) {
    for (const url of [PATH, `${PATH}/tokens`]) {
      app.get(url, hidden, (request, reply) =>
        reply.header('cache-control', 'no-store').redirect(request.site.path('/#/tokens'), 303),
      );
    }
    return;
  }
  const signedIn = (request: FastifyRequest): boolean => sessions.isGood(cookieOf(request));
  const needsSession = (request: FastifyRequest): void => {
    refuseForeign(request);
    if (!signedIn(request)) throw new LadingError('unauthorized', `Sign in at ${PATH} first.`);
  };
  const onlyPost = { ...hidden, preParsing: smallBody(config.idleSeconds) };

  app.get(PATH, hidden, (request, reply) => {
    if (signedIn(request))
      return reply.header('cache-control', 'no-store').redirect(request.site.path(`${PATH}/tokens`), 303);
    return page(request, reply, 'Sign in', signInForm(request.site, null));
  });
  app.get(`${PATH}/tokens`, hidden, (request, reply) => {
    if (!signedIn(request)) return reply.header('cache-control', 'no-store').redirect(request.site.path(PATH), 303);
    return page(request, reply, 'API tokens', tokensPage(deps, request.site, null));
  });
  app.register(async (forms) => {
    formBodies(forms, (body) => new Map(new URLSearchParams(body.toString('utf8'))) as never);
    forms.post<{ Body: Form }>(PATH, { ...onlyPost, config: { audit: 'sign_in' } }, async (request, reply) => {
      refuseForeign(request);
      request.audited = { tenant: DEFAULT_TENANT, target: 'token dashboard' };
      const given = request.body?.get('password') ?? '';
      const isRight = async (): Promise<true | null> => (isSame(given, password) ? true : null);
      const right = await throttle.attempt('token dashboard', request.ip, isRight, { chosen: true });
      if (!right) {
        deps.audit.note({
          action: 'sign_in',
          outcome: 'refused',
          principal: null,
          tenant: DEFAULT_TENANT,
          address: request.ip,
          target: 'token dashboard',
          detail: null,
          requestId: request.id,
        });
        return page(request, reply.code(401), 'Sign in', signInForm(request.site, 'The password is wrong.'));
      }
      const secure = wantsSecureCookies(request);
      const options = {
        path: request.site.path(PATH),
        httpOnly: true,
        sameSite: 'strict',
        secure,
        maxAge: SESSION_MS / 1000,
      } as const;
      reply.header('set-cookie', fastifyCookie.serialize(COOKIE, sessions.begin(), options));
      return reply.redirect(request.site.path(`${PATH}/tokens`), 303);
    });
    forms.post<{ Body: Form }>(
      `${PATH}/tokens/create`,
      { ...onlyPost, config: { audit: 'token_created' } },
      async (request, reply) => {
        needsSession(request);
        const form = request.body ?? new Map();
        const owner = ownersOf(deps).find(({ kind, id }) => `${kind} ${id}` === form.get('owner'));
        if (!owner) throw new LadingError('not_found', 'There is no client and no person with this id.');
        const scopes = parseScopes(SCOPES.filter((scope) => form.get(`scope ${scope}`) === 'on'));
        if (scopes.length === 0) throw new LadingError('validation_failed', 'Choose what the token may do.');
        checkGrant(principalOf(owner), scopes, 'the owner of the token does not have it');
        const seconds = wholeNumber(form.get('life') || '0', 0, LONGEST_SECONDS.token);
        if (seconds === null) throw new LadingError('validation_failed', 'Choose how long the token is good.');
        const name = form.get('name')?.trim().slice(0, 200) || null;
        request.audited = { tenant: owner.tenant };
        const made = await identity.apiTokens.create({
          owner,
          name,
          scopes,
          lifeMs: seconds > 0 ? seconds * 1000 : null,
        });
        return page(request, reply.code(201), 'API tokens', tokensPage(deps, request.site, made.token));
      },
    );
    forms.post<{ Params: { id: string } }>(
      `${PATH}/tokens/:id/revoke`,
      { ...onlyPost, config: { audit: 'token_revoked' } },
      async (request, reply) => {
        needsSession(request);
        const { id } = request.params;
        request.audited = { tenant: DEFAULT_TENANT, target: id };
        if (identity.apiTokens.get(id)?.tenant !== DEFAULT_TENANT || !(await identity.apiTokens.revoke(id)))
          throw new LadingError('not_found', 'There is no API token with this id.');
        return reply.redirect(request.site.path(`${PATH}/tokens`), 303);
      },
    );
    forms.post(`${PATH}/logout`, { ...onlyPost, config: { audit: 'sign_out' } }, async (request, reply) => {
      refuseForeign(request);
      request.audited = { tenant: DEFAULT_TENANT, target: 'token dashboard' };
      sessions.end(cookieOf(request));
      const options = { path: request.site.path(PATH), httpOnly: true, sameSite: 'strict', maxAge: 0 } as const;
      reply.header('set-cookie', fastifyCookie.serialize(COOKIE, '', options));
      return reply.redirect(request.site.path(PATH), 303);
    });
  });
}

/** Who is signed in here: only hashes of the cookies are kept, and only in memory. */
class Sessions {
  readonly #now: () => number;
  readonly #ends = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  begin(): string {
    const cookie = randomBytes(32).toString('base64url');
    this.#ends.set(hashOf(cookie), this.#now() + SESSION_MS);
    // The oldest goes when there are too many.
    for (const key of this.#ends.keys()) if (this.#ends.size > MOST_SESSIONS) this.#ends.delete(key);
    return cookie;
  }

  isGood(cookie: string | null): boolean {
    return cookie !== null && (this.#ends.get(hashOf(cookie)) ?? 0) > this.#now();
  }

  end(cookie: string | null): void {
    if (cookie !== null) this.#ends.delete(hashOf(cookie));
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function isSame(given: string, password: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(given)), Buffer.from(hashOf(password)));
}

function cookieOf({ headers }: FastifyRequest): string | null {
  return headers.cookie === undefined ? null : (fastifyCookie.parse(headers.cookie)[COOKIE] ?? null);
}

/** Those whom a token of the default tenant can act for, administrators first. */
function ownersOf({ clients, identity }: RouteDeps): (TokenOwner & { title: string })[] {
  const machines = clients.list(DEFAULT_TENANT).map(({ clientId, name, role }) => {
    return {
      id: clientId,
      kind: 'device' as const,
      tenant: DEFAULT_TENANT,
      role,
      title: `${name ?? clientId} (${role})`,
    };
  });
  const people = identity.people.list(DEFAULT_TENANT).map(({ id, email, account, role }) => {
    const title = `${email ?? account?.username ?? id} (${role})`;
    return { id, kind: 'person' as const, tenant: DEFAULT_TENANT, role, title };
  });
  return [...machines, ...people].sort((a, b) => (a.role === b.role ? 0 : a.role === 'admin' ? -1 : 1));
}

function page({ site }: FastifyRequest, reply: FastifyReply, title: string, body: string): FastifyReply {
  reply.headers({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  return reply.send(
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
      `<meta name="color-scheme" content="light dark"><title>${title} – Lading</title><link rel="icon" href="data:,">` +
      `<link rel="stylesheet" href="${site.path(`/assets/${STYLE}`)}"></head><body><main><h1>${title}</h1>${body}</main></body></html>`,
  );
}

function signInForm(site: Site, trouble: string | null): string {
  return (
    `<form method="post" action="${site.path(PATH)}" class="sign-in"><label>Password of the token dashboard` +
    `<input type="password" name="password" required autocomplete="current-password"></label>` +
    `<button class="main" type="submit">Sign in</button><p role="alert" class="bad">${escaped(trouble ?? '')}</p></form>`
  );
}

function tokensPage(deps: RouteDeps, site: Site, made: string | null): string {
  const { identity, clock } = deps;
  const now = clock.now();
  const tokens = identity.apiTokens
    .list(DEFAULT_TENANT, null)
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
  const most = Math.max(1, ...tokens.map(({ uses }) => uses));
  const shown =
    made === null
      ? ''
      : `<div class="secret" role="status"><p>The token, shown this once:</p><code>${made}</code></div>`;
  const owners = ownersOf(deps).map(
    ({ kind, id, title }) => `<option value="${kind} ${escaped(id)}">${escaped(title)}</option>`,
  );
  const lives = LIVES.map(([seconds, title]) => `<option value="${seconds}">${title}</option>`);
  const scopes = SCOPES.map(
    (scope) =>
      `<label class="choice"><input type="checkbox" name="scope ${scope}"${scope === 'files:read' ? ' checked' : ''}>${scope}</label>`,
  );
  const head = ['Name', 'May', 'For', 'Last used', 'Uses', 'Ends', 'Do'].map(
    (title) => `<th scope="col">${title}</th>`,
  );
  return (
    `${shown}<form method="post" action="${site.path(PATH)}/logout"><button type="submit">Sign out</button></form>` +
    `<section class="card"><h2>New token</h2><form class="inline" method="post" action="${site.path(PATH)}/tokens/create">` +
    `<label>What it is for<input name="name" maxlength="200"></label><label>Acts for<select name="owner" aria-label="Acts for">${owners.join('')}</select></label>` +
    `<label>Good for<select name="life" aria-label="Good for">${lives.join('')}</select></label>` +
    `<fieldset class="choices"><legend>It may</legend>${scopes.join('')}</fieldset>` +
    `<button class="main" type="submit">Make token</button></form></section>` +
    `<section class="card"><h2>Tokens</h2><table><caption>API tokens that are good now</caption><thead><tr>${head.join('')}</tr></thead>` +
    `<tbody>${tokens.map((token) => rowOf(site, token, most)).join('')}</tbody></table></section>`
  );
}

function rowOf(
  site: Site,
  { id, name, scopes, owner, lastUsed, uses, expiresAt }: ApiTokenDocument,
  most: number,
): string {
  const cells: [title: string, html: string][] = [
    ['Name', escaped(name ?? id)],
    ['May', escaped(scopes.join(', '))],
    ['For', escaped(owner)],
    ['Last used', lastUsed === null ? 'never' : iso(lastUsed)],
    ['Uses', `<meter min="0" max="${most}" value="${uses}" aria-label="used ${uses} times"></meter> ${uses}`],
    ['Ends', expiresAt === null ? 'when revoked' : iso(expiresAt)],
    [
      'Do',
      `<form method="post" action="${site.path(PATH)}/tokens/${encodeURIComponent(id)}/revoke">` +
        `<button class="danger" type="submit" aria-label="Revoke ${escaped(name ?? id)}">Revoke</button></form>`,
    ],
  ];
  return `<tr>${cells.map(([title, html]) => `<td data-title="${title}">${html}</td>`).join('')}</tr>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
