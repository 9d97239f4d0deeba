// The console: asks for the key, then keeps everything on the page up to date.
import { get, tail, useKey } from "./api.js";
import { Chart } from "./chart.js";
import { byId, count, el, empty, milliseconds, number, time } from "./dom.js";
import { forget, take } from "./live.js";
import { bars, facts, findPerson } from "./person.js";

const stored = "hito-secret-key";
let stop = null; // aborts everything that runs with the present key

const rateChart = new Chart(byId("ratechart"), (a, b) => `Events per second: ${number(a)} scored, ${number(b)} accepted`);
const latencyChart = new Chart(byId("latencychart"), (a, b) => (a === null ? "No event was scored in the last minute" : `Latency: half within ${milliseconds(a)}, 99 in 100 within ${milliseconds(b)}`));

// A key in the address, #key=…, is taken once and then taken out of it.
function givenKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    history.replaceState(null, "", location.pathname);
    sessionStorage.setItem(stored, given);
  }
  return sessionStorage.getItem(stored);
}

function askForKey(error) {
  stop?.abort();
  stop = null;
  sessionStorage.removeItem(stored);
  useKey("");
  forget();
  byId("person").close();
  byId("console").hidden = byId("forget").hidden = true;
  byId("signin").hidden = false;
  byId("keyerror").textContent = error ?? "";
  byId("key").value = "";
  byId("key").focus();
  say("off", "not connected");
}

function start(key) {
  stop?.abort();
  stop = new AbortController();
  useKey(key);
  byId("signin").hidden = true;
  byId("console").hidden = byId("forget").hidden = false;
  follow(stop.signal);
  every(1000, stop.signal, pulse());
  every(5000, stop.signal, quarantine);
}

function say(state, text) {
  byId("state").dataset.state = state;
  if (byId("state").textContent !== text) byId("state").textContent = text;
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

// follow reads the tail, and again when it breaks, in growing pauses.
async function follow(signal) {
  for (let wait = 500; !signal.aborted; wait = Math.min(2 * wait, 10000)) {
    try {
      forget();
      await tail("rate=25&last=100", signal, () => { wait = 500; say("on", "live"); }, take);
    } catch (e) {
      if (signal.aborted) return;
      if (e.status === 401) return askForKey("This key opens no project.");
      if (e.status) { say("off", e.message); await pause(wait, signal); continue; }
    }
    if (signal.aborted) return;
    say("off", "connection lost, trying again");
    await pause(wait * (0.5 + Math.random() / 2), signal);
  }
}

// every runs a task again and again while the page is seen; what fails is tried the next time.
async function every(ms, signal, task) {
  while (!signal.aborted) {
    if (!document.hidden) {
      try { await task(signal); } catch (e) { if (e.status === 401 && !signal.aborted) return askForKey("This key opens no project."); }
    }
    await pause(ms, signal);
  }
}

function pulse() {
  let before = null;
  return async (signal) => {
    const [stats, ledger] = await Promise.all([get("/v1/stats"), get("/v1/ledger")]);
    if (signal.aborted) return;
    const at = performance.now();
    if (before) {
      const seconds = (at - before.at) / 1000;
      const scored = Math.max(0, ledger.scored - before.ledger.scored) / seconds;
      const peak = rateChart.push(scored, Math.max(0, ledger.accepted - before.ledger.accepted) / seconds);
      byId("ratepeak").textContent = `last minute, peak ${number(peak)}/s`;
      byId("rate").textContent = number(scored);
    }
    before = { at, ledger };
    const latency = stats.latency_ms;
    byId("p50").textContent = latency ? milliseconds(latency.p50) : "–";
    byId("p99").textContent = latency ? milliseconds(latency.p99) : "–";
    const peak = latencyChart.push(latency?.p50 ?? null, latency?.p99 ?? null);
    byId("latencypeak").textContent = peak ? `last minute, peak ${milliseconds(peak)}` : "nothing scored in the last minute";
    byId("people").textContent = count(ledger.people);
    byId("ledger").replaceChildren(...facts(["accepted", "scored", "duplicate", "quarantined", "suppressed", "in_flight"]
      .map((name) => [name.replace("_", " "), count(ledger[name])])).children);
    const segments = Object.entries(ledger.segments);
    byId("segments").replaceChildren(...(segments.length ? bars(segments).children : [empty("No segment has anybody in it yet.")]));
  };
}

let older = null, shown = [], paged = false;

async function quarantine(signal) {
  if (paged) return; // what was paged to stays until the page is loaded again
  const page = await get("/v1/quarantine?limit=20");
  if (signal.aborted || paged) return;
  if (page.entries[0]?.id !== shown[0]?.id || page.entries.length !== shown.length) show(page.entries, page.next);
  else if (!shown.length) show([], null);
}

function show(entries, next) {
  shown = entries;
  older = next;
  byId("more").hidden = !next;
  byId("quarantine").replaceChildren(...(entries.length ? entries.map(entry) : [empty("Nothing is in quarantine.")]));
}

const entry = (q) => el("li", null, el("details", null,
  el("summary", null, time(q.time), el("span", { class: "tag warn" }, q.reason), el("span", { class: "what" }, q.detail ?? ""),
    el("span", { class: "where" }, q.events === 1 ? q.stage : `${q.stage} · ${count(q.events)} events`)),
  el("pre", { tabindex: "0" }, q.body === undefined ? q.body_base64 ?? "" : JSON.stringify(q.body, null, 2))));

byId("more").addEventListener("click", async () => {
  paged = true;
  try {
    const page = await get("/v1/quarantine?limit=20&cursor=" + encodeURIComponent(older));
    show([...shown, ...page.entries], page.next);
  } catch { paged = shown.length > 20; }
});

byId("keyform").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const key = byId("key").value.trim();
  if (!key) return;
  sessionStorage.setItem(stored, key);
  start(key);
});

byId("forget").addEventListener("click", () => askForKey());

byId("find").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  byId("finderror").textContent = "";
  try {
    if (!await findPerson(byId("id").value.trim())) byId("finderror").textContent = "Nobody is known by this id.";
  } catch (e) {
    byId("finderror").textContent = e.message;
  }
});

const key = givenKey();
if (key) start(key);
else askForKey();
