// What the page is built with. Text from events only ever becomes text nodes
// and attribute values: nothing here, or anywhere in the console, parses HTML.

export const byId = (id) => document.getElementById(id);

// el makes an element. Children are elements or texts; null is left out.
export function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  fill(e, attributes, children);
  return e;
}

// svg makes an SVG element.
export function svg(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(e, attributes, children);
  return e;
}

function fill(e, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) e.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) e.append(child);
  }
}

export const empty = (text) => el("li", { class: "none" }, text);

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

export const count = (n) => (Math.abs(n) < 100000 ? whole : compact).format(n);
export const number = (n) => (Math.abs(n) < 100 ? fine : Math.abs(n) < 100000 ? whole : compact).format(n);

export function milliseconds(ms) {
  if (ms < 10) return tenths.format(ms) + " ms";
  return ms < 1000 ? whole.format(ms) + " ms" : fine.format(ms / 1000) + " s";
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });

// time shows the hour of today and the date of other days.
export function time(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return el("time", null, "–");
  const today = at.toDateString() === new Date().toDateString();
  return el("time", { datetime: text, title: at.toString() }, (today ? clock : date).format(at));
}
