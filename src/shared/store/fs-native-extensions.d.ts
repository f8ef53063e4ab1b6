/** The one function used of fs-native-extensions, which has no types of its own. */
declare module 'fs-native-extensions' {
  /** Takes an exclusive lock on the whole file; false if another process has it. Closing the file frees it. */
  export function tryLock(fd: number): boolean
}
