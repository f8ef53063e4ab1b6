/** Imported before anything else: what comes after it would fail with a riddle where narval cannot run. */
import { refusedHere } from './platform.js'

const refused = refusedHere()
if (refused !== undefined) throw refused
