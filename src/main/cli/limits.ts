/** Limits of the command line. */

/** Bytes of a file with evidence: twice what the store of a committee of 256 may keep of headers, in base64. */
export const EVIDENCE_FILE_BYTES_MAX = 384 * 1024 * 1024
