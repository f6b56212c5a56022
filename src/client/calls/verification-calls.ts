/** Verification codes that the server speaks in a telephone call, and the registered phone numbers. */
import type { CallRequested, CallStatus, CallVerified, RegisteredPhone } from '../../protocol/schemas/identity/call.ts';
import { type AdminOptions, type JsonRequest, segment } from './json-request.ts';

/** Calls that speak a code, and registered phone numbers. */
export class VerificationCalls {
  readonly #request: JsonRequest;

  constructor(request: JsonRequest) {
    this.#request = request;
  }

  /** Calls a number in E.164 format and speaks a code. Throws `rate_limited`. */
  request(
    phone: string,
    { message, signal }: { message?: string | undefined } & AdminOptions = {},
  ): Promise<CallRequested> {
    return this.#request('POST', 'calls/otp', {
      body: { phone, ...(message === undefined ? {} : { message }) },
      signal,
    });
  }

  /** Checks a code. Throws `invalid_request` with the remaining attempts for a wrong code, `not_found` when no code is valid. */
  verify(phone: string, code: string, { signal }: AdminOptions = {}): Promise<CallVerified> {
    return this.#request('POST', 'calls/verify', { body: { phone, code }, signal });
  }

  /** Calls again and speaks the same code. */
  replay(phone: string, { signal }: AdminOptions = {}): Promise<CallRequested> {
    return this.#request('POST', 'calls/replay', { body: { phone }, signal });
  }

  /** The status of the newest code for a number. Throws `not_found`. */
  status(phone: string, { signal }: AdminOptions = {}): Promise<CallStatus> {
    return this.#request('GET', `calls/otp/status/${segment(phone)}`, { signal });
  }

  /** The phone number for the second factor of a principal. For administrators. */
  async phoneOf(kind: 'client' | 'person', id: string, { signal }: AdminOptions = {}): Promise<string | null> {
    return (await this.#request<RegisteredPhone>('GET', `api/phones/${kind}/${segment(id)}`, { signal })).phone;
  }

  /** Registers a phone number; null removes it. Resolves with the stored number. */
  async setPhone(kind: 'client' | 'person', id: string, phone: string | null, { signal }: AdminOptions = {}) {
    const body: RegisteredPhone = { phone };
    return (await this.#request<RegisteredPhone>('PUT', `api/phones/${kind}/${segment(id)}`, { body, signal })).phone;
  }
}
