/** The paths of the OAuth metadata documents on a server whose public URL has a path. */

const METADATA = /^(\/\.well-known\/oauth-(?:authorization-server|protected-resource))(\/[^?]*)(\?.*)?$/;

/**
 * Removes the path of the public URL from a target. Clients append it to the well-known name (RFC 8414 §3.1, RFC 9728 §3.1).
 *
 *     /.well-known/oauth-authorization-server/drive  →  /.well-known/oauth-authorization-server
 *
 * @param prefix path of the public URL, or empty
 */
export function metadataPath(url: string, prefix: string): string {
  if (prefix === '' || !url.startsWith('/.well-known/oauth-')) return url;
  const [found, document = '', path = '', query = ''] = METADATA.exec(url) ?? [];
  return found !== undefined && path.replace(/\/$/, '') === prefix ? `${document}${query}` : url;
}
