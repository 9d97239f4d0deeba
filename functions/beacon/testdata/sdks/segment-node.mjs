// @segment/analytics-node
import { Analytics } from '@segment/analytics-node'
import { calls, endpoint, fail, writeKey } from './calls.mjs'

const c = calls('segment-node')
const analytics = new Analytics({ writeKey, host: endpoint, maxRetries: 0 })
analytics.on('error', fail)
analytics.identify(c.identify)
analytics.track(c.track)
analytics.page(c.page)
analytics.group(c.group)
analytics.alias(c.alias)
await analytics.closeAndFlush({ timeout: 10_000 })
