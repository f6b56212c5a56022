/** Names of clients and people, by which others of their tenant may call them in place of their ids. */
import type { Subject } from '../../records/principal.ts';
import type { PersonDocument } from '../../records/subjects.ts';
import type { Clients } from './clients.ts';
import type { People } from './people.ts';

/** Who may have a name. */
export interface Named {
  clients: Pick<Clients, 'find' | 'list'>;
  people: Pick<People, 'get' | 'byEmail' | 'byName'>;
}

const ACCOUNTS = ['ops', 'client'] as const;

/**
 * Clients and people of a tenant by an exact word: an id; else the name of a client, an e-mail address or the name of an account. Names of
 * clients need not be unique. The full names of people are not looked at: anybody may choose anybody's.
 */
export function subjectsCalled({ clients, people }: Named, tenant: string, word: string): Subject[] {
  if (clients.find(word)?.tenant === tenant) return [{ id: word, kind: 'device' }];
  if (people.get(word)?.tenant === tenant) return [{ id: word, kind: 'person' }];
  const name = word.normalize('NFC');
  const devices = clients.list(tenant).filter((client) => client.name?.normalize('NFC') === name);
  const persons = [people.byEmail(tenant, word), ...ACCOUNTS.map((kind) => people.byName(tenant, kind, word))];
  const ids = new Set(persons.flatMap((person) => person?.id ?? []));
  return [
    ...devices.map(({ clientId: id }): Subject => ({ id, kind: 'device' })),
    ...[...ids].map((id): Subject => ({ id, kind: 'person' })),
  ];
}

/** What `subjectsCalled` finds a client or a person by, besides the id. */
export function namesOf({ clients, people }: Named, id: string): string[] {
  const person: PersonDocument | null = people.get(id);
  const names = person ? [person.email, person.account?.username] : [clients.find(id)?.name];
  return names.flatMap((name) => name || []);
}
