/** The pages of /api/tokens/dashboard, as text. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { isLive } from '../../identity/credentials/api-tokens.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { DEFAULT_TENANT, type TokenOwner } from '../../identity/rights/policy.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import { SCOPES } from '../../protocol/scopes.ts';
import { iso } from '../../protocol/times.ts';
import type { ApiTokenDocument } from '../../records/credentials.ts';
import { problemReply, type Refusal } from '../problems/problems.ts';
import type { Site } from '../proxy/site.ts';
import { dashboardStyle } from './dashboard.ts';

/** What these functions need from the server. */
export interface TokenPageDeps {
  identity: Identity;
  clock: Clock;
  clients: Clients;
}

const STYLE = dashboardStyle();
export const PATH = '/api/tokens/dashboard';
const LIVES: [seconds: number, title: string][] = [
  [0, 'until it is revoked'],
  [86_400, 'a day'],
  [30 * 86_400, '30 days'],
  [365 * 86_400, 'a year'],
];
const POLICY =
  "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src data:";

/** Principals that a token of the default tenant can act for, administrators first. */
export function ownersOf({
  clients,
  identity,
}: Pick<TokenPageDeps, 'clients' | 'identity'>): (TokenOwner & { title: string })[] {
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

/** Fields of every page. Forms need the origin: with `no-referrer` browsers send `Origin: null`. */
const PAGE_FIELDS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
};

export function page({ site }: FastifyRequest, reply: FastifyReply, title: string, body: string): FastifyReply {
  return reply.headers(PAGE_FIELDS).send(htmlOf(site.path('/'), title, body));
}

/**
 * Refusals as a page, for browsers that sent a form.
 * @param root relative path from the form to the server's root
 */
export function refusalPage(root: string): Refusal {
  return (error, requestId, credentials) => {
    const { status, headers } = problemReply(error, requestId, credentials);
    const back = `<p><a class="button" href="${root}${PATH.slice(1)}">Back to the token dashboard</a></p>`;
    const said = `<p role="alert" class="bad">${escaped(error.message)}</p>`;
    const body = Buffer.from(htmlOf(root, 'That did not work', said + back));
    return { status, headers: { ...headers, ...PAGE_FIELDS, 'content-length': String(body.length) }, body };
  };
}

function htmlOf(root: string, title: string, body: string): string {
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
    `<meta name="color-scheme" content="light dark"><title>${title} – Lading</title><link rel="icon" href="data:,">` +
    `<link rel="stylesheet" href="${root}assets/${STYLE}"></head><body><main><h1>${title}</h1>${body}</main></body></html>`
  );
}

export function signInForm(site: Site, trouble: string | null): string {
  return (
    `<form method="post" action="${site.path(PATH)}" class="sign-in"><label>Password of the token dashboard` +
    `<input type="password" name="password" required autocomplete="current-password"></label>` +
    `<button class="main" type="submit">Sign in</button><p role="alert" class="bad">${escaped(trouble ?? '')}</p></form>`
  );
}

export function tokensPage(deps: TokenPageDeps, site: Site, made: string | null): string {
  const { identity, clock } = deps;
  const tokens = identity.apiTokens.list(DEFAULT_TENANT, null).filter((token) => isLive(token, clock));
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
  const head = ['Name', 'May', 'For', 'Last used', 'Uses', 'Ends', 'Actions'].map(
    (title) => `<th scope="col">${title}</th>`,
  );
  return (
    `${shown}<form method="post" action="${site.path(PATH)}/logout"><button type="submit">Sign out</button></form>` +
    `<section class="card"><h2>New token</h2><form class="inline" method="post" action="${site.path(PATH)}/tokens/create">` +
    `<label>What it is for<input name="name" maxlength="200"></label><label>Acts for<select name="owner" aria-label="Acts for">${owners.join('')}</select></label>` +
    `<label>Good for<select name="life" aria-label="Good for">${lives.join('')}</select></label>` +
    `<fieldset class="choices"><legend>It may</legend>${scopes.join('')}</fieldset>` +
    `<button class="main" type="submit">Make token</button></form></section>` +
    `<section class="card"><h2>Tokens</h2><table><caption>Valid API tokens</caption><thead><tr>${head.join('')}</tr></thead>` +
    `<tbody>${tokens.map((token) => rowOf(site, token, most, clock)).join('')}</tbody></table></section>`
  );
}

function rowOf(
  site: Site,
  { id, name, label, scopes, words, owner, lastUsed, uses, expiresAt }: ApiTokenDocument,
  most: number,
  clock: Clock,
): string {
  const cells: [title: string, html: string][] = [
    ['Name', escaped(name ?? id)],
    ['May', escaped((words ?? scopes).join(', '))],
    ['For', escaped(label === undefined ? owner : `${label} (${owner})`)],
    ['Last used', lastUsed === null ? 'never' : iso(lastUsed)],
    ['Uses', `<meter min="0" max="${most}" value="${uses}" aria-label="used ${uses} times"></meter> ${uses}`],
    ['Ends', expiresAt === null ? 'when revoked' : iso(clock.dateOf(expiresAt))],
    [
      'Actions',
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
