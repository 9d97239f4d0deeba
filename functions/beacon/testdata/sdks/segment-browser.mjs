// @segment/analytics-next, the browser's SDK, in a page of another origin: what
// happy-dom fetches goes through CORS as in a browser, preflights included.
// The page only names where the settings are; they name where events go.
import { Window } from 'happy-dom'
import { calls, endpoint, fail, writeKey } from './calls.mjs'

const window = new Window({ url: 'http://shop.example/products?utm_source=news', settings: { navigator: { userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36' } } })
window.document.title = 'Shop'
for (const name of ['document', 'navigator', 'location', 'localStorage', 'sessionStorage', 'fetch', 'CustomEvent', 'XMLHttpRequest']) {
  Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: name === 'fetch' ? window.fetch.bind(window) : window[name] })
}
globalThis.window = globalThis
for (const name of ['addEventListener', 'removeEventListener', 'dispatchEvent']) {
  globalThis[name] = window[name].bind(window)
}

const { AnalyticsBrowser } = await import('@segment/analytics-next')
const c = calls('segment-browser')

async function send(options, calling) {
  const [analytics] = await AnalyticsBrowser.load({ writeKey, cdnURL: endpoint }, options)
  analytics.on('error', fail)
  analytics.setAnonymousId(c.ids.anonymousId)
  const contexts = await calling(analytics)
  for (const ctx of contexts) {
    if (ctx.failedDelivery()) fail(ctx.failedDelivery().reason)
  }
}

await send({}, (analytics) => Promise.all([
  analytics.identify(c.ids.userId, c.identify.traits),
  analytics.track(c.track.event, c.track.properties),
  analytics.page(c.page.name, c.page.properties),
  analytics.group(c.group.groupId, c.group.traits),
  analytics.alias(c.alias.userId, c.alias.previousId),
]))
await window.happyDOM.close()
process.exit(0)
