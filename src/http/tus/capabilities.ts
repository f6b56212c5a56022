/** OPTIONS: returns the capabilities of the server and answers CORS preflights, without a sign-in. */
import type { FastifyReply } from 'fastify';
import { TUS_CHECKSUMS, TUS_EXTENSIONS, TUS_VERSION } from '../../protocol/http/tus.ts';
import type { Config } from '../../settings/config.ts';
import { preflightFields } from '../request/cors.ts';

/** What this request needs from the server. */
export interface CapabilityDeps {
  config: Pick<Config, 'maxFileBytes'>;
}

export async function capabilities({ config }: CapabilityDeps, reply: FastifyReply): Promise<void> {
  // "A successful response indicated by the 204 No Content or 200 OK status MUST contain the Tus-Version header. It MAY include the
  // Tus-Extension and Tus-Max-Size headers."
  reply.header('tus-version', TUS_VERSION).header('tus-extension', TUS_EXTENSIONS.join(','));
  reply.header('tus-max-size', String(config.maxFileBytes));
  // "The Tus-Checksum-Algorithm header MUST be included in the response to an OPTIONS request."
  reply.header('tus-checksum-algorithm', TUS_CHECKSUMS.join(','));
  preflightFields(reply, 'GET, HEAD, POST, PATCH, DELETE, OPTIONS');
  return reply.code(204).send();
}
