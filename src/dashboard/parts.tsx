/** Components that several pages share. */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Role } from '../protocol/schemas/role.ts';
import { messageOf } from './format.ts';

/** An error, announced to screen readers; empty for null. */
export function ErrorMessage({ children }: { children: string | null }) {
  return (
    <p role="alert" class="bad">
      {children}
    </p>
  );
}

/** A section with a heading and actions. */
export function Section({
  title,
  actions,
  children,
}: {
  title: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="card" aria-label={title}>
      <div class="bar">
        <h2 class="grow">{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}

/** Shows a secret that the server returns only once. */
export function Secret({ label, value, onDone }: { label: string; value: string; onDone(): void }) {
  const [copied, setCopied] = useState<boolean | null>(null);
  const element = useRef<HTMLElement>(null);
  const copy = async () => {
    setCopied(await copyText(value, element.current));
  };
  return (
    <div class="secret" role="status">
      <p>{`${label}. It is shown only once. Store it in a safe place.`}</p>
      <div class="bar">
        <code class="grow" ref={element}>
          {value}
        </code>
        <button type="button" class="main" onClick={() => void copy()}>
          {copied === true ? 'Copied' : 'Copy'}
        </button>
        <button type="button" onClick={onDone}>
          Done
        </button>
      </div>
      {copied === false && <p>The browser did not allow copying. The text is selected; copy it manually.</p>}
    </div>
  );
}

/** Copies text to the clipboard. If that fails, selects it and returns false. */
async function copyText(text: string, element: HTMLElement | null): Promise<boolean> {
  // The clipboard exists only in secure contexts, not over plain HTTP from another machine.
  const { clipboard } = navigator as { clipboard?: Clipboard };
  const written = await clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  if (written) return true;
  if (element) getSelection()?.selectAllChildren(element);
  return document.execCommand('copy');
}

/** A drop-down of roles that asks for confirmation. */
export function RoleSelect({
  name,
  role,
  roles,
  onChange,
  onError,
}: {
  /** Name of the principal. */
  name: string;
  role: Role;
  roles: readonly Role[];
  onChange(role: Role): Promise<unknown>;
  onError(message: string | null): void;
}) {
  const pick = (select: HTMLSelectElement) => {
    const selected = select.value as Role;
    const confirmed = confirm(`Make ${name} ${ROLE_DESCRIPTIONS[selected]}? The current role is ${role}.`);
    // Show the current role until the server has changed it.
    select.value = role;
    if (!confirmed) return;
    onError(null);
    onChange(selected).catch((problem) => onError(messageOf(problem)));
  };
  return (
    <select aria-label={`Role of ${name}`} value={role} onChange={(event) => pick(event.currentTarget)}>
      {[...new Set([...roles, role])].map((one) => (
        <option key={one} value={one}>
          {one}
        </option>
      ))}
    </select>
  );
}

/** Asks for confirmation of a role above `client`, because a browser may have restored an earlier choice in the form. */
export function confirmRole(name: string, role: Role): boolean {
  return role === 'client' || confirm(`Make ${name} ${ROLE_DESCRIPTIONS[role]}?`);
}

const ROLE_DESCRIPTIONS: Record<Role, string> = {
  client: 'a client, which accesses only its own files',
  ops: 'an ops account, which can read all files',
  admin: 'an administrator, who can change everything in this tenant',
  root: 'a root administrator, who can change everything on this server',
};

/** A button that runs an action, reports its error, and is disabled while it runs. */
export function ActionButton({
  label,
  children,
  question,
  run,
  onError,
  kind,
}: {
  /** Accessible name, if the text of the button is not specific enough. */
  label?: string;
  children: ComponentChildren;
  /** Asks for confirmation with this question. */
  question?: string;
  run(): Promise<unknown>;
  onError(message: string | null): void;
  kind?: 'main' | 'danger';
}) {
  const [busy, setBusy] = useState(false);
  const press = async () => {
    if (question !== undefined && !confirm(question)) return;
    setBusy(true);
    onError(null);
    await run().catch((problem) => onError(messageOf(problem)));
    setBusy(false);
  };
  return (
    <button type="button" class={kind} aria-label={label} disabled={busy} onClick={() => void press()}>
      {children}
    </button>
  );
}

/** A table that becomes a list of cards on narrow screens. */
export function Table({
  caption,
  head,
  rows,
  empty,
}: {
  caption: string;
  head: string[];
  rows: { key: string; cells: ComponentChildren[] }[];
  empty: string;
}) {
  if (rows.length === 0) return <p class="quiet">{empty}</p>;
  return (
    <table>
      <caption>{caption}</caption>
      <thead>
        <tr>
          {head.map((title) => (
            <th key={title} scope="col">
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ key, cells }) => (
          <tr key={key} data-key={key}>
            {cells.map((cell, index) => (
              <td key={head[index]} data-title={head[index]}>
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A line chart over time, from 0 to the highest value. */
export function Chart({ title, values, show }: { title: string; values: number[]; show(value: number): string }) {
  const highest = Math.max(...values, 0);
  const width = Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${index},${highest === 0 ? 40 : 40 - (38 * value) / highest}`).join(' ');
  const last = values.at(-1) ?? 0;
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span> <strong>{show(last)}</strong> <span class="quiet">{`max ${show(highest)}`}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${width} 40`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: now ${show(last)}, maximum ${show(highest)}`}
      >
        <polyline points={points} vector-effect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}
