/** What evidence is about, for people. */
import type { EvidenceKind } from './evidence.js'

/** @param name of the authority that it accuses */
export function evidenceText(kind: EvidenceKind, name: string, round: number): string {
  switch (kind) {
    case 'headers':
      return `${name} has signed two headers of round ${round}`
    case 'certificates':
      return `two certificates of ${name} in round ${round}: more than a third of the stake has voted twice`
    case 'checkpoints':
      return `${name} has signed another log up to commit ${round} than a quorum, or than itself before`
    case 'own-key':
      return `the key of ${name} has signed in round ${round} what its own store does not have`
  }
}
