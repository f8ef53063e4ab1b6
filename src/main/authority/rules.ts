/** How certificates are put in order (docs/consensus.md). The first is the default. */
export const RULES = ['shoal', 'tusk'] as const
export type Rule = (typeof RULES)[number]
