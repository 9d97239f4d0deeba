// The console's way to the server.

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let key = "";

export function useKey(k) { key = k; }

async function request(path, signal) {
  const response = await fetch(path, { headers: { Authorization: "Bearer " + key }, cache: "no-store", signal });
  if (response.ok) return response;
  let error = {};
  try { error = (await response.json()).error ?? {}; } catch { /* not ours: a proxy's page, say */ }
  throw new Refused(response.status, error.code ?? "", error.message ?? "the server answered " + response.status);
}

export async function get(path) { return (await request(path)).json(); }

// tail hands every line of the live tail to take until signal aborts or the
// connection ends. A silence of 15 seconds, three heartbeats, ends it too.
export async function tail(query, signal, opened, take) {
  const broken = new AbortController();
  const response = await request("/v1/tail?" + query, AbortSignal.any([signal, broken.signal]));
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const silence = setTimeout(() => broken.abort(), 15000);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") continue;
      try { take(JSON.parse(line)); } catch (e) { if (!(e instanceof SyntaxError)) throw e; }
    }
  }
}
