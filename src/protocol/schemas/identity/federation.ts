/** Sign-in through providers on the wire: /v1/auth/providers, /v1/auth/{oidc,yandex}. */
import Type, { type Static } from 'typebox';

export const OutsideProviders = Type.Object(
  {
    providers: Type.Array(
      Type.Object({
        name: Type.String({ description: 'oidc or yandex.' }),
        login_url: Type.String({ description: 'Path of this server to send the browser to.' }),
      }),
    ),
  },
  { title: 'OutsideProviders' },
);
export type OutsideProviders = Static<typeof OutsideProviders>;

export const OutsideQuery = Type.Object(
  {
    return_to: Type.Optional(
      Type.String({
        maxLength: 1000,
        description: 'Path of this server to redirect to afterwards; by default the callback answers with the tokens.',
      }),
    ),
    link: Type.Optional(
      Type.Boolean({ description: 'True: link the account to the signed-in person instead of signing in.' }),
    ),
  },
  { title: 'OutsideQuery' },
);
export type OutsideQuery = Static<typeof OutsideQuery>;

export const OutsideBegun = Type.Object(
  { authorization_url: Type.String({ description: "URL of the provider's sign-in page." }) },
  { title: 'OutsideBegun' },
);
export type OutsideBegun = Static<typeof OutsideBegun>;
