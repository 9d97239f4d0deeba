// analytics-node, which @segment/analytics-node replaces
import Analytics from 'analytics-node'
import { calls, endpoint, fail, writeKey } from './calls.mjs'

const c = calls('segment-node-legacy')
const analytics = new Analytics(writeKey, { host: endpoint, retryCount: 0, errorHandler: fail })
analytics.identify(c.identify)
analytics.track(c.track)
analytics.page(c.page)
analytics.group(c.group)
analytics.alias(c.alias)
await analytics.flush()
