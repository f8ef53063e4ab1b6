/** What keeps a profile from being made and is no bug of ours: one line for the user. */
export class FlameError extends Error {}
