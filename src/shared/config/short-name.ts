/** An authority's name as logs and metrics show it: the first 16 characters of its key, as in the reference. */
export function shortName(name: string): string {
  return name.slice(0, 16)
}
