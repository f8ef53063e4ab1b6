/** Limits of a new committee, each with its unit and its reason. */

/** Hosts, at least: with fewer than four of equal stake the loss of one ends the order. */
export const INIT_HOSTS_MIN = 4
/** The lowest port: below it a user that is not root may not listen. */
export const INIT_PORT_MIN = 1024
/** The first port of an authority, if nobody says another: that of the README's committee. */
export const INIT_PORT_DEFAULT = 4000
