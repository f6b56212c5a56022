/**
 * What a group of routes declares about its paths, for code that runs before routing or for all routes. So that code does not need to know
 * the paths of any protocol.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { LadingError } from '../../errors.ts';
import { pathOf } from './target.ts';

export interface PathRules {
  /** The folder, with a slash at its end. */
  folder: string;
  /** Segments may have any length. The routes refuse names that are too long with their own errors. */
  anyLength?: true;
  /** The error for a path that is not percent-encoded UTF-8; by default `invalid_request`. */
  undecodable?(): LadingError;
  /** The paths that pages of any origin may use, without cookies. */
  anyOrigin?: RegExp;
  /** Clients read the detail of an error in the member `error`, too. */
  repeatsDetail?: true;
  /** Removes the secrets from a path, which may belong to any folder. */
  redact?(path: string): string;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The rules of the folder that the request is for; undefined without rules. */
    readonly pathRules: PathRules | undefined;
    /** The path without the secrets that the rules know. */
    readonly redactedPath: string;
  }
}

/** The rules of the folder that contains a path. The folder's own path counts with and without its slash. */
export function rulesOf(path: string, rules: readonly PathRules[]): PathRules | undefined {
  const folder = `${path}/`;
  return rules.find((rule) => folder.startsWith(rule.folder));
}

/** Adds `pathRules` and `redactedPath` to requests. Call it before any route is registered. */
export function decoratePaths(app: FastifyInstance, rules: readonly PathRules[]): void {
  app.decorateRequest('pathRules', {
    getter(this: FastifyRequest) {
      return rulesOf(this.routeOptions.url ?? pathOf(this.raw.url), rules);
    },
  });
  app.decorateRequest('redactedPath', {
    getter(this: FastifyRequest) {
      return rules.reduce((path, { redact }) => redact?.(path) ?? path, pathOf(this.raw.url));
    },
  });
}
