/** The pages of /api/tokens/dashboard, as HTML. */
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
import { escaped, PLAIN_PAGE_FIELDS, plainPage } from '../send/plain-page.ts';

/** What these functions need from the server. */
export interface TokenPageDeps {
  identity: Identity;
  clock: Clock;
  clients: Clients;
}

/** Path of the pages below the server's root. */
export const PATH = '/api/tokens/dashboard';
/** Lifetimes that the form offers, in seconds; 0: the token does not expire. */
const LIFETIMES: [seconds: number, title: string][] = [
  [0, 'no expiry'],
  [86_400, 'a day'],
  [30 * 86_400, '30 days'],
  [365 * 86_400, 'a year'],
];
/** Possible owners of a token of the default tenant, administrators first. */
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

/** Sends a page of the token dashboard. */
export function page({ site }: FastifyRequest, reply: FastifyReply, title: string, body: string): FastifyReply {
  return reply.headers(PLAIN_PAGE_FIELDS).send(plainPage(site.path('/'), title, body));
}

/**
 * Refusals as a page, for browsers that sent a form.
 * @param root relative path from the form to the server's root
 */
export function refusalPage(root: string): Refusal {
  return (error, requestId, credentials) => {
    const { status, headers } = problemReply(error, requestId, credentials);
    const back = `<p><a class="button" href="${root}${PATH.slice(1)}">Back to the token dashboard</a></p>`;
    const reason = `<p role="alert" class="bad">${escaped(error.message)}</p>`;
    const body = Buffer.from(plainPage(root, 'Request refused', reason + back));
    return { status, headers: { ...headers, ...PLAIN_PAGE_FIELDS, 'content-length': String(body.length) }, body };
  };
}

/** @param problem why the last sign-in failed */
export function signInForm(site: Site, problem: string | null): string {
  return (
    `<form method="post" action="${site.path(PATH)}" class="sign-in"><label>Password of the token dashboard` +
    `<input type="password" name="password" required autocomplete="current-password"></label>` +
    `<button class="main" type="submit">Sign in</button><p role="alert" class="bad">${escaped(problem ?? '')}</p></form>`
  );
}

/** @param created the token that was just created, which is shown once */
export function tokensPage(deps: TokenPageDeps, site: Site, created: string | null): string {
  const { identity, clock } = deps;
  const tokens = identity.apiTokens.list(DEFAULT_TENANT, null).filter((token) => isLive(token, clock));
  const maxUses = Math.max(1, ...tokens.map(({ uses }) => uses));
  const shown =
    created === null
      ? ''
      : `<div class="secret" role="status"><p>Copy the token now. It is not shown again.</p><code>${created}</code></div>`;
  const owners = ownersOf(deps).map(
    ({ kind, id, title }) => `<option value="${kind} ${escaped(id)}">${escaped(title)}</option>`,
  );
  const lifetimes = LIFETIMES.map(([seconds, title]) => `<option value="${seconds}">${title}</option>`);
  const scopes = SCOPES.map(
    (scope) =>
      `<label class="choice"><input type="checkbox" name="scope ${scope}"${scope === 'files:read' ? ' checked' : ''}>${scope}</label>`,
  );
  const head = ['Name', 'Scopes', 'Owner', 'Last used', 'Uses', 'Expires', 'Actions'].map(
    (title) => `<th scope="col">${title}</th>`,
  );
  return (
    `${shown}<form method="post" action="${site.path(PATH)}/logout"><button type="submit">Sign out</button></form>` +
    `<section class="card"><h2>New token</h2><form class="inline" method="post" action="${site.path(PATH)}/tokens/create">` +
    `<label>Token name<input name="name" maxlength="200"></label><label>Owner<select name="owner" aria-label="Owner">${owners.join('')}</select></label>` +
    `<label>Expires after<select name="life" aria-label="Expires after">${lifetimes.join('')}</select></label>` +
    `<fieldset class="choices"><legend>Scopes</legend>${scopes.join('')}</fieldset>` +
    `<button class="main" type="submit">Create token</button></form></section>` +
    `<section class="card"><h2>Tokens</h2><table><caption>Valid API tokens</caption><thead><tr>${head.join('')}</tr></thead>` +
    `<tbody>${tokens.map((token) => rowOf(site, token, maxUses, clock)).join('')}</tbody></table></section>`
  );
}

function rowOf(
  site: Site,
  { id, name, label, scopes, words, owner, lastUsed, uses, expiresAt }: ApiTokenDocument,
  maxUses: number,
  clock: Clock,
): string {
  const cells: [title: string, html: string][] = [
    ['Name', escaped(name ?? id)],
    ['Scopes', escaped((words ?? scopes).join(', '))],
    ['Owner', escaped(label === undefined ? owner : `${label} (${owner})`)],
    ['Last used', lastUsed === null ? 'never' : iso(lastUsed)],
    ['Uses', `<meter min="0" max="${maxUses}" value="${uses}" aria-label="used ${uses} times"></meter> ${uses}`],
    ['Expires', expiresAt === null ? 'never' : iso(clock.dateOf(expiresAt))],
    [
      'Actions',
      `<form method="post" action="${site.path(PATH)}/tokens/${encodeURIComponent(id)}/revoke">` +
        `<button class="danger" type="submit" aria-label="Revoke ${escaped(name ?? id)}">Revoke</button></form>`,
    ],
  ];
  return `<tr>${cells.map(([title, html]) => `<td data-title="${title}">${html}</td>`).join('')}</tr>`;
}
