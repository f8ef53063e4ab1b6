/** Limits of the metrics, each with its unit and its reason. */

/** Reasons of one kind of refusal that are counted apart: they are constants of the code, and fewer than this. */
export const REFUSAL_REASONS_MAX = 64
