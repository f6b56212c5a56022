/** Names of clients and people, which principals of the same tenant may use in place of ids. */
import type { Subject } from '../../records/principal.ts';
import type { PersonDocument } from '../../records/subjects.ts';
import type { Clients } from './clients.ts';
import type { People } from './people.ts';

/** The clients and people to search. */
export interface NameSources {
  clients: Pick<Clients, 'find' | 'list'>;
  people: Pick<People, 'get' | 'byEmail' | 'byName'>;
}

const ACCOUNTS = ['ops', 'client'] as const;

/**
 * The clients and people of a tenant with this id, or otherwise with this name: the name of a client, an e-mail address or a
 * username. Names of clients need not be unique. The full names of people do not count, because anyone may choose any name.
 */
export function subjectsNamed({ clients, people }: NameSources, tenant: string, idOrName: string): Subject[] {
  if (clients.find(idOrName)?.tenant === tenant) return [{ id: idOrName, kind: 'device' }];
  if (people.get(idOrName)?.tenant === tenant) return [{ id: idOrName, kind: 'person' }];
  const name = idOrName.normalize('NFC');
  const devices = clients.list(tenant).filter((client) => client.name?.normalize('NFC') === name);
  const persons = [people.byEmail(tenant, idOrName), ...ACCOUNTS.map((kind) => people.byName(tenant, kind, idOrName))];
  const ids = new Set(persons.flatMap((person) => person?.id ?? []));
  return [
    ...devices.map(({ clientId: id }): Subject => ({ id, kind: 'device' })),
    ...[...ids].map((id): Subject => ({ id, kind: 'person' })),
  ];
}

/** The names by which `subjectsNamed` finds a client or a person, besides the id. */
export function namesOf({ clients, people }: NameSources, id: string): string[] {
  const person: PersonDocument | null = people.get(id);
  const names = person ? [person.email, person.account?.username] : [clients.find(id)?.name];
  return names.flatMap((name) => name || []);
}
