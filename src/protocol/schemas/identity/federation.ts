/** Sign-in through providers on the wire: /v1/auth/providers, /v1/auth/{oidc,yandex}. */
import Type, { type Static } from 'typebox';

export const FederatedProviders = Type.Object(
  {
    providers: Type.Array(
      Type.Object({
        name: Type.String({ description: 'oidc or yandex.' }),
        login_url: Type.String({ description: 'Path of this server to send the browser to.' }),
      }),
    ),
  },
  { title: 'FederatedProviders' },
);
export type FederatedProviders = Static<typeof FederatedProviders>;

export const FederatedSignInQuery = Type.Object(
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
  { title: 'FederatedSignInQuery' },
);
export type FederatedSignInQuery = Static<typeof FederatedSignInQuery>;

export const FederatedSignInBegun = Type.Object(
  { authorization_url: Type.String({ description: "URL of the provider's sign-in page." }) },
  { title: 'FederatedSignInBegun' },
);
export type FederatedSignInBegun = Static<typeof FederatedSignInBegun>;
