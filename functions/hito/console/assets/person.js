// One person's profile.
import { get } from "./api.js";
import { byId, count, el, number, time } from "./dom.js";

const dialog = byId("person"), body = byId("person-body");
let open = null; // the id shown, such as "user_id:u1"
let timer = 0;

const path = (id) => {
  const colon = id.indexOf(":");
  return "/v1/profiles/" + id.slice(0, colon) + ":" + encodeURIComponent(id.slice(colon + 1));
};

// openPerson shows a profile and keeps it fresh while it is open.
export async function openPerson(id) {
  open = id;
  byId("person-name").textContent = id.slice(id.indexOf(":") + 1);
  body.replaceChildren(el("p", { class: "muted" }, "Loading…"));
  if (!dialog.open) dialog.showModal();
  await refresh(id);
}

// findPerson opens the profile of a user id or else of an anonymous id.
export async function findPerson(text) {
  for (const kind of ["user_id:", "anonymous_id:"]) {
    try {
      await get(path(kind + text));
    } catch (e) {
      if (e.status === 404) continue;
      throw e;
    }
    await openPerson(kind + text);
    return true;
  }
  return false;
}

async function refresh(id) {
  clearTimeout(timer);
  try {
    const profile = await get(path(id));
    if (open !== id) return;
    show(profile);
  } catch (e) {
    if (open !== id) return;
    body.replaceChildren(el("p", { class: "error" }, e.status === 404 ? "Nobody is known by this id. Perhaps the person was erased." : "Cannot read the profile: " + e.message));
  }
  timer = setTimeout(() => refresh(id), 2000);
}

dialog.addEventListener("close", () => {
  open = null;
  clearTimeout(timer);
});
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (click) => { if (click.target === dialog) dialog.close(); });

function show(p) {
  byId("person-name").textContent = p.user_id ?? p.anonymous_ids[0] ?? "";
  const now = p.sessions.current;
  body.replaceChildren(
    el("p", { class: "chips" },
      el("span", { class: "chip kind" }, p.user_id === null ? "anonymous" : "user"),
      p.bot ? el("span", { class: "chip warn" }, "bot") : null,
      now ? el("span", { class: "chip live" }, "here now") : null,
      p.segments.map((s) => el("span", { class: "chip" }, s))),
    el("div", { class: "columns" },
      part("Seen", facts([
        ["First seen", time(p.first_seen)],
        ["Last seen", time(p.last_seen)],
        ["Sessions", count(p.sessions.count)],
        ["This session", now ? el("span", null, count(now.events) + " events since ", time(now.start)) : null],
        ["Device", p.device && [p.device.browser, p.device.browser_version, p.device.os && "on " + p.device.os, p.device.bot_name, p.device.kind && `(${p.device.kind})`].filter(Boolean).join(" ")],
        ["Place", p.geo && [p.geo.city, p.geo.region, p.geo.country, p.geo.as_org].filter(Boolean).join(", ")],
        ["Group", p.group_id],
        ["Came first by", touch(p.first_touch)],
        ["Came last by", touch(p.last_touch)],
        ["Anonymous ids", p.anonymous_ids.join(", ")],
      ])),
      part("Traits", facts(Object.entries(p.traits).map(([k, v]) => [k, text(v)]))),
      part("Scores", facts(Object.entries(p.scores).map(([k, v]) => [k, text(v)]))),
      part("Metrics", facts(Object.entries(p.metrics).map(([k, v]) => [k, text(v)]))),
      part("Events", bars(Object.entries(p.events.by_name)))),
    part("Recently", el("ol", { class: "rows" }, p.recent.map((e) => el("li", { class: "event" },
      time(e.time), el("span", { class: "tag " + e.type }, e.type), el("span", { class: "what" }, e.name ?? e.path ?? ""),
      el("span", { class: "where" }, e.name ? e.path ?? "" : ""))))));
}

const part = (title, content) => content && el("section", { class: "part" }, el("h3", null, title), content);

// facts lists names and values, without those that are unknown.
export function facts(pairs) {
  const known = pairs.filter(([, v]) => v !== null && v !== undefined && v !== "");
  return known.length ? el("dl", { class: "facts" }, known.map(([k, v]) => el("div", null, el("dt", null, k), el("dd", null, v)))) : null;
}

// bars lists names and counts, the largest first, with the share of the largest.
export function bars(pairs) {
  const most = Math.max(1, ...pairs.map(([, n]) => n));
  return el("ul", { class: "bars" }, pairs.toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name, n]) =>
    el("li", null, el("span", { class: "name" }, name), el("span", { class: "n" }, count(n)),
      el("meter", { min: 0, max: most, value: n, "aria-hidden": "true" }))));
}

function text(v) {
  if (typeof v === "number") return number(v);
  return typeof v === "string" ? v : JSON.stringify(v);
}

function touch(t) {
  if (!t) return null;
  const { referrer: r, campaign: c } = t;
  return [r && [r.source || r.host, r.medium && `(${r.medium})`, r.term && `“${r.term}”`].filter(Boolean).join(" "),
    c && "campaign " + [c.name, c.source, c.medium, c.click_type].filter(Boolean).join(" / ")].filter(Boolean).join(", ");
}
