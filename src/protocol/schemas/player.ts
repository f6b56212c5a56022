/** Permissions to play one file in one browser, on the wire. */
import Type, { type Static } from 'typebox';
import { Text, Time } from './parts.ts';

export const Player = Type.Object(
  {
    player_id: Text('Id of the permission, to revoke it; not a secret.'),
    filename: Text('Name of the file.'),
    url: Text('URL of the file for this browser; ranges are supported. It works only with the cookie.'),
    expires_at: Time('When the URL expires.'),
  },
  { title: 'Player' },
);
export type Player = Static<typeof Player>;
