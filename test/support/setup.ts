// libp2p calls Promise.withResolvers, which Node 20 lacks.
import 'core-js/actual/promise/with-resolvers.js'
