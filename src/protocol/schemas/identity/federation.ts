/** Sign-in through outside providers on the wire: /v1/auth/providers, /v1/auth/{oidc,yandex}. */
import Type, { type Static } from 'typebox';

export const OutsideProviders = Type.Object(
  {
    providers: Type.Array(
      Type.Object({
        name: Type.String({ description: 'oidc or yandex.' }),
        login_url: Type.String({ description: 'Where to send the browser, a path of this server.' }),
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
        description: 'A path of this server to go to afterwards; without it the callback answers with the tokens.',
      }),
    ),
    link: Type.Optional(
      Type.Boolean({ description: 'Adds the account to the person whose cookie this is, instead of signing in.' }),
    ),
  },
  { title: 'OutsideQuery' },
);
export type OutsideQuery = Static<typeof OutsideQuery>;

export const OutsideBegun = Type.Object(
  { authorization_url: Type.String({ description: "The provider's page." }) },
  { title: 'OutsideBegun' },
);
export type OutsideBegun = Static<typeof OutsideBegun>;
