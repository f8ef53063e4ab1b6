import { execFileSync } from 'node:child_process'

/** Threads and processes under test are the product's own files in dist/: they are compiled once, before any test. */
export default function setup(): void {
  if (process.env.NARVAL_SKIP_BUILD === '1') return
  execFileSync('npx', ['tsc', '-p', 'tsconfig.json'], { stdio: 'inherit' })
}
