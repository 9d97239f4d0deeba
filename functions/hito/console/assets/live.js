// Events as they arrive, and the people seen in them.
import { byId, count, el, empty, time } from "./dom.js";
import { openPerson } from "./person.js";

const keepEvents = 200, keepPeople = 50;

let events = []; // newest first
const people = new Map(); // by id, the latest seen last
let frozen = null; // what is shown while paused
let missed = 0, dropped = 0, drawn = false;

// visitor is whom an event is of, as the read side addresses people.
const visitor = (e) => (e.userId ? "user_id:" + e.userId : "anonymous_id:" + e.anonymousId);

export const nameOf = (id) => id.slice(id.indexOf(":") + 1);

export function take(line) {
  if (line.dropped) {
    dropped += line.dropped;
    changed();
    return;
  }
  const id = visitor(line);
  const known = people.get(id);
  people.delete(id);
  people.set(id, { id, at: line.timestamp, count: (known?.count ?? 0) + 1, enriched: line.enriched ?? known?.enriched });
  if (people.size > keepPeople) people.delete(people.keys().next().value);
  events.unshift(line);
  events.length = Math.min(events.length, keepEvents);
  if (frozen) byId("pause").textContent = `Resume (${count(++missed)})`;
  changed();
}

export function forget() {
  events = [];
  people.clear();
  missed = dropped = 0;
  changed();
}

// changed draws once per frame, however many events came.
function changed() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    drawEvents();
    drawPeople();
  });
}

function drawEvents() {
  const type = byId("type").value, match = byId("match").value.toLowerCase();
  const shown = (frozen ?? events).filter((e) => (!type || e.type === type) && (!match ||
    [e.event, e.name, e.userId, e.anonymousId, e.enriched?.page?.path].some((s) => s?.toLowerCase().includes(match))));
  replace(byId("events"), shown.map(eventRow), events.length ? "None of the latest events match." : "Waiting for events.");
  byId("dropped").textContent = dropped ? `A sample: ${count(dropped)} more were not shown.` : "";
}

// A row is made once per event, so that the list moves without being rebuilt.
const rows = new WeakMap();

function eventRow(e) {
  let row = rows.get(e);
  if (!row) {
    const id = visitor(e);
    const what = e.event || e.name || (e.type === "identify" ? "" : e.enriched?.page?.path) || "";
    row = el("li", { class: "event" },
      time(e.timestamp),
      el("span", { class: "tag " + e.type }, e.type),
      el("span", { class: "what", title: e.enriched?.page?.path }, what),
      person(id),
      el("span", { class: "where" }, where(e.enriched)));
    rows.set(e, row);
  }
  return row;
}

const person = (id) => el("button", {
  type: "button", class: "link", title: id, "aria-label": "Open the profile of " + nameOf(id), onclick: () => openPerson(id),
}, nameOf(id));

export function where(x) {
  if (!x) return "";
  return [x.geo?.country, x.bot ? (x.device?.bot_name || "bot") : x.device?.browser].filter(Boolean).join(" · ");
}

function drawPeople() {
  const shown = [...people.values()].reverse();
  replace(byId("recent"), shown.map((p) => el("li", { class: "someone" },
    person(p.id),
    el("span", { class: "muted" }, p.id.startsWith("user_id:") ? "user" : "anonymous"),
    el("span", { class: "where" }, where(p.enriched)),
    time(p.at))), "Nobody was seen yet.");
}

// replace keeps the focus where it was in a list that is drawn anew.
function replace(list, items, otherwise) {
  const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("title") : null;
  list.replaceChildren(...(items.length ? items : [empty(otherwise)]));
  if (focused && !list.contains(document.activeElement)) {
    [...list.querySelectorAll("button")].find((b) => b.getAttribute("title") === focused)?.focus({ preventScroll: true });
  }
}

byId("type").addEventListener("change", changed);
byId("match").addEventListener("input", changed);
byId("pause").addEventListener("click", (click) => {
  frozen = frozen ? null : [...events];
  missed = 0;
  click.target.textContent = frozen ? "Resume" : "Pause";
  click.target.setAttribute("aria-pressed", frozen !== null);
  changed();
});
