/** What may be at the committee's `worker_to_primary`, as a worker alone is told. The first is the default. */
export const PRIMARY_KINDS = ['reference', 'narval'] as const
export type PrimaryKind = (typeof PRIMARY_KINDS)[number]
