/** Rights to play one file in one browser, on the wire. */
import Type, { type Static } from 'typebox';
import { Text, Time } from './parts.ts';

export const Player = Type.Object(
  {
    player_id: Text('Id by which it is ended; not a secret.'),
    filename: Text('Name of the file.'),
    url: Text('Where this browser reads the file, by ranges too. Without the cookie the address is worth nothing.'),
    expires_at: Time('When the address stops working.'),
  },
  { title: 'Player' },
);
export type Player = Static<typeof Player>;
