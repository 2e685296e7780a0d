// Elements and numbers. Whatever comes from the cache becomes text here, and only ever text: no function in
// these files takes markup.

/** An element. Attributes of null are left out; children are nodes or texts. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A name from the cache: set apart, so that its direction of writing ends with it. */
export function named(text, attributes = {}) {
  return el("bdi", { class: "id", title: text, ...attributes }, visible(text));
}

/** What can't be seen, or turns the text around, as what it is. */
export function visible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/gu, (c) =>
    `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** Replaces what is in a node, if it has changed. What had the focus keeps it, by its data-focus. */
export function put(node, ...children) {
  const fresh = document.createElement("div");
  fresh.append(...children.filter((child) => child !== null && child !== undefined));
  const same = node.childNodes.length === fresh.childNodes.length
    && [...node.childNodes].every((child, at) => child.isEqualNode(fresh.childNodes[at]));
  if (same) return;
  const focus = node.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  node.replaceChildren(...fresh.childNodes);
  if (focus !== undefined) focusOn(node, focus);
}

/** Focuses what is marked so within a node; returns whether there is such a thing. */
export function focusOn(node, name) {
  const found = [...node.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === name);
  found?.focus({ preventScroll: true });
  return found !== undefined;
}

const THIN = "\u202f";

/** 1234567 → 1 234 567, with thin spaces that do not break. */
export function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** As count, and short from ten thousand on: 12.3 k. */
export function short(number) {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (number >= size) return digits(number / (size === 1e4 ? 1e3 : size)) + THIN + unit;
  }
  return count(number);
}

function digits(number) {
  return number >= 100 ? String(Math.round(number)) : number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

/** A share of 1 as percents; never 100 while something is missing. */
export function percent(share) {
  if (share === null) return "–";
  if (share > 0.999 && share < 1) return "99.9" + THIN + "%";
  return (share === 1 ? "100" : (share * 100).toFixed(1)) + THIN + "%";
}

export function bytes(number) {
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (number >= size) return digits(number / size) + THIN + unit;
  }
  return count(number) + THIN + "B";
}

export function micros(number) {
  if (number === null || number === undefined) return "–";
  if (number < 1000) return number + THIN + "µs";
  if (number < 1e6) return digits(number / 1000) + THIN + "ms";
  return span(number / 1000);
}

/** A length of time in milliseconds, in at most two units. */
export function span(ms) {
  if (ms < 1) return "0" + THIN + "s";
  if (ms < 1000) return Math.round(ms) + THIN + "ms";
  const seconds = ms / 1000;
  if (seconds < 60) return (seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)) + THIN + "s";
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = parts.findIndex(([, size]) => seconds >= size);
  const [unit, size] = parts[first];
  const whole = Math.floor(seconds / size);
  const [under, less] = parts[first + 1];
  const rest = Math.floor((seconds - whole * size) / less);
  return `${whole}${THIN}${unit}` + (rest ? ` ${rest}${THIN}${under}` : "");
}

/** The time of day, with seconds where they matter. */
export function clock(ms, seconds = false) {
  const options = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (seconds) options.second = "2-digit";
  return new Date(ms).toLocaleTimeString("en-GB", options);
}

/** A table; each cell is a node, a text, or null. The first column names the row. */
export function table(caption, heads, rows) {
  const cell = (content, at, name) => el(at === 0 && name === "td" ? "th" : name,
    { scope: name === "th" ? "col" : at === 0 ? "row" : null, class: at === 0 ? null : "number" },
    content ?? "–");
  return el("table", {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, ...heads.map((head, at) => cell(head, at, "th")))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((content, at) => cell(content, at, "td"))))));
}
