/** Tenants on the wire. */
import Type, { type Static } from 'typebox';
import { Text, Time } from '../parts.ts';

export const TenantQuery = Type.Object(
  { tenant: Type.Optional(Type.String({ maxLength: 63, description: 'Id of another tenant. For root only.' })) },
  { title: 'TenantQuery' },
);
export type TenantQuery = Static<typeof TenantQuery>;

export const Tenant = Type.Object(
  {
    tenant_id: Text("The tenant's id."),
    name: Text('Display name.'),
    created_at: Time('When it was created.'),
  },
  { title: 'Tenant' },
);
export type Tenant = Static<typeof Tenant>;

export const TenantList = Type.Object({ tenants: Type.Array(Tenant) }, { title: 'TenantList' });
export type TenantList = Static<typeof TenantList>;

export const NewTenant = Type.Object(
  {
    tenant_id: Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
      description: '1 to 63 lowercase letters, digits and hyphens.',
    }),
    name: Type.Optional(Type.String({ maxLength: 200, description: 'Display name; the id by default.' })),
  },
  { title: 'NewTenant' },
);
export type NewTenant = Static<typeof NewTenant>;
