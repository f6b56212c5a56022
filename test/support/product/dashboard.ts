/** The dashboard in a browser: signing in, and checks of every page. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { eventually } from '../eventually.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export async function signInTo(page: Page, { id, secret }: { id: string; secret: string }): Promise<void> {
  await page.getByLabel('Client id').fill(id);
  await page.getByLabel('Client secret').fill(secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
}

/** Opens a page through the menu. */
export async function goTo(page: Page, menu: string, ...links: string[]): Promise<void> {
  for (const [index, name] of [menu, ...links].entries()) {
    const nav = page.getByRole('navigation', { name: index === 0 ? 'Pages' : menu });
    await nav.getByRole('link', { name, exact: true }).click();
  }
}

interface Violation {
  id: string;
  impact: string | null;
  nodes: { html: string }[];
}

/** The serious and critical findings of axe-core, which the debugger of the browser injects despite the policy of the page. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = (await page.evaluate('axe.run()')) as { violations: Violation[] };
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** Waits until an expression is true in the page. It polls from outside, because the policy of the page forbids `eval`. */
export async function waitUntilTrue(page: Page, expression: string): Promise<void> {
  await eventually(async () => (await page.evaluate(expression)) === true, expression);
}

/** Checks accessibility in light and dark mode, and that nothing is wider than a phone. */
export async function assertAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await accessibilityFaults(page), [], colorScheme);
  }
  const before = page.viewportSize();
  await page.setViewportSize({ width: 360, height: 740 });
  const wide = Number(await page.evaluate('document.documentElement.scrollWidth'));
  const widest = await page.evaluate(
    "[...document.querySelectorAll('*')].filter((e) => e.getBoundingClientRect().right > 360).map((e) => e.outerHTML.slice(0, 90)).join(' ')",
  );
  assert.ok(wide <= 360, `${wide} px wide: ${widest}`);
  if (before) await page.setViewportSize(before);
}
