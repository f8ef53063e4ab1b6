/** Exit codes of the command line; 0 is success. */
export const EXIT_FAILURE = 1
export const EXIT_USAGE = 2
