// @rudderstack/rudder-sdk-node
import Analytics from '@rudderstack/rudder-sdk-node'
import { calls, endpoint, fail, writeKey } from './calls.mjs'

const c = calls('rudder-node')
const analytics = new Analytics(writeKey, { dataPlaneUrl: endpoint, flushAt: 20, errorHandler: fail })
analytics.identify(c.identify)
analytics.track(c.track)
analytics.page(c.page)
analytics.group(c.group)
analytics.alias(c.alias)
await analytics.flush()
process.exit(0) // its timers would keep node running
