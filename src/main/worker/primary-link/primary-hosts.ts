/**
 * Which addresses are a primary's, where the committee file may name it. A name counts with the addresses that it has now
 * (`HostNames.trusted`): those of a container that is gone are not trusted once the resolver says so.
 */
import { isIP } from 'node:net'
import type { Committee } from '../../../shared/config/committee.js'
import { isLoopback } from '../../../shared/wire/source-address.js'
import type { HostNames } from '../../names/host-names.js'
import { normalHost, otherPrimaryHosts, primaryHosts } from './primary-trust.js'

export class PrimaryHosts {
  private readonly names: HostNames
  private readonly ownNames: readonly string[]
  private own: ReadonlySet<string> = new Set()
  private others: ReadonlySet<string> = new Set()
  /** The same by the last good answers, whatever the resolver says since. */
  private lastOwn: ReadonlySet<string> = new Set()
  private lastOthers: ReadonlySet<string> = new Set()

  /** @param onChange some addresses are other ones' now */
  constructor(committee: Committee, ownIndex: number, names: HostNames, onChange: () => void = () => {}) {
    this.names = names
    const own = primaryHosts(committee, ownIndex)
    const others = otherPrimaryHosts(committee, ownIndex)
    this.ownNames = [...own].filter((host) => isIP(host) === 0)
    const update = (): void => {
      const trusted = (name: string): readonly string[] => this.names.trusted(name)
      const known = (name: string): readonly string[] => this.names.known(name)
      this.own = addressesOf(own, trusted)
      this.others = addressesOf(others, trusted)
      this.lastOwn = addressesOf(own, known)
      this.lastOthers = addressesOf(others, known)
    }
    update()
    names.watch([...own, ...others], () => {
      update()
      onChange()
    })
  }

  isOwn(host: string): boolean {
    return this.own.has(host)
  }

  isOther(host: string): boolean {
    return this.others.has(host)
  }

  /** The same of a connection that is there already: a name that is gone for a moment says nothing of it. */
  wasOwn(host: string): boolean {
    return this.lastOwn.has(host)
  }

  wasOther(host: string): boolean {
    return this.lastOthers.has(host)
  }

  /**
   * Whether our primary may be at this address although we do not know it: it has a name, and may have moved. Then
   * `askAgain` asks where it is now, and resolves soon.
   */
  mayBeOwn(host: string): boolean {
    return this.ownNames.length > 0 && !this.isOwn(host)
  }

  async askAgain(): Promise<void> {
    await Promise.all(this.ownNames.map((name) => this.names.resolve(name)))
  }
}

function addressesOf(hosts: ReadonlySet<string>, find: (host: string) => readonly string[]): ReadonlySet<string> {
  const addresses = new Set<string>()
  for (const host of hosts) {
    for (const address of find(host)) addresses.add(normalHost(address))
    // A name of this machine may have any of its own addresses, and connections come from another: Debian's
    // `/etc/hosts` gives the machine's name 127.0.1.1.
    if (isIP(host) !== 0 || !find(host).some(isLoopback)) continue
    for (const address of ['127.0.0.1', '::1']) addresses.add(address)
  }
  return addresses
}
