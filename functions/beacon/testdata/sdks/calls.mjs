// What every script sends, so that one test can check them all: as the user
// "<sdk>-user", known before as "<sdk>-anon".
export const endpoint = required('HITO_ENDPOINT').replace(/\/$/, '') // such as http://127.0.0.1:8080
export const writeKey = required('HITO_WRITE_KEY')

export function calls(sdk) {
  const ids = { userId: `${sdk}-user`, anonymousId: `${sdk}-anon` }
  return {
    ids,
    identify: { ...ids, traits: { email: `${sdk}@example.com`, plan: 'pro' } },
    track: { ...ids, event: 'Order Completed', properties: { revenue: 39.9, currency: 'EUR', note: 'naïve ☕' } },
    page: { ...ids, name: 'Home', properties: { title: 'Shop' } },
    group: { ...ids, groupId: `${sdk}-group`, traits: { name: 'Acme' } },
    alias: { userId: ids.userId, previousId: `${sdk}-before` },
  }
}

// fail ends the script so that nothing is taken for sent that was not.
export function fail(error) {
  console.error(error)
  process.exit(1)
}

function required(name) {
  if (!process.env[name]) fail(`set ${name}`)
  return process.env[name]
}
