// Charts in plain SVG. Every one says in words what it shows, and tells its parts apart by shape, dash or
// place as well as by colour.

import { clock, count, el, micros, named, percent, span, svg } from "./dom.js";

/** How many kinds are told apart by colour and dash. */
export const LOOKS = 8;
const LEFT = 44, RIGHT = 14, TOP = 10, BOTTOM = 26;

/** A piece of a line as it is drawn in the chart. */
export function sample(look) {
  return svg("svg", { class: "sample", width: 26, height: 10, "aria-hidden": "true" },
    svg("line", { class: `line ${look}`, x1: 1, x2: 25, y1: 5, y2: 5 }));
}

/** Where nothing is known, between from and to: [from, to] each. */
export function gaps(data) {
  const found = [];
  // The slice that is growing may not have been reported yet.
  const end = data.to_ms - data.step_ms * 1.5;
  let known = data.from_ms;
  for (const point of data.points) {
    if (point.at_ms - known > data.step_ms * 0.5) found.push([known, point.at_ms]);
    known = Math.max(known, point.at_ms + data.step_ms);
  }
  if (end > known) found.push([known, data.to_ms]);
  return found;
}

/** Hits among calls over time, a line for each of `lines`: {name, look, at(point) -> [hits, misses]}. */
export function ratios(box, data, lines, cursor) {
  const width = Math.max(box.clientWidth, 240), height = width < 480 ? 190 : 240;
  const inner = width - LEFT - RIGHT, tall = height - TOP - BOTTOM;
  const x = (ms) => LEFT + inner * Math.min(1, Math.max(0, (ms - data.from_ms) / (data.to_ms - data.from_ms)));
  const y = (share) => TOP + tall * (1 - share);
  const middle = (point) => Math.min(point.at_ms + data.step_ms / 2, data.to_ms);
  const summary = lines.map((line) => `${line.name} ${percent(total(data, line))}`).join(", ");
  const chart = svg("svg", {
    class: "ratios", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0,
    "data-focus": "ratios",
    "aria-label": `Hit ratio from ${clock(data.from_ms)} to ${clock(data.to_ms)}: ${summary || "no calls"}. `
      + "The arrow keys read single moments.",
  }, hatch("gap-hatch"));
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    chart.append(
      svg("line", { class: share ? "grid" : "axis", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
      svg("text", { class: "tick", x: LEFT - 8, y: y(share) + 4, "text-anchor": "end" }, `${share * 100}\u202f%`));
  }
  for (const at of ticks(data, inner)) {
    chart.append(svg("text", { class: "tick", x: x(at), y: height - 8, "text-anchor": "middle" }, clock(at)));
  }
  for (const [from, to] of gaps(data)) {
    const wide = x(to) - x(from);
    chart.append(svg("rect", { class: "gap", x: x(from), y: TOP, width: wide, height: tall, fill: "url(#gap-hatch)" }));
    if (wide > 74) {
      const text = to <= data.since_ms + data.step_ms ? "not yet noted" : "no figures";
      chart.append(svg("text", { class: "tick", x: (x(from) + x(to)) / 2, y: TOP + tall / 2, "text-anchor": "middle" }, text));
    }
  }
  for (const line of lines) {
    for (const run of runs(data, line)) {
      const places = run.map((point) => [x(middle(point)), y(share(line.at(point)))]);
      const path = places.map(([px, py], at) => `${at ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
      chart.append(places.length === 1
        ? svg("circle", { class: `point ${line.look}`, cx: places[0][0], cy: places[0][1], r: 2.5 })
        : svg("path", { class: `line ${line.look}`, d: path }));
    }
  }
  const near = nearest(data, cursor);
  if (near) {
    chart.append(svg("line", { class: "cursor", x1: x(middle(near)), x2: x(middle(near)), y1: TOP, y2: TOP + tall }));
    for (const line of lines) {
      const ratio = share(line.at(near));
      if (ratio !== null) chart.append(svg("circle", { class: `point ${line.look}`, cx: x(middle(near)), cy: y(ratio), r: 4 }));
    }
  }
  return { chart, when: (px) => data.from_ms + (data.to_ms - data.from_ms) * (px - LEFT) / inner };
}

/** The slice at a moment; null where none was asked for, or none is known there. */
export function nearest(data, at) {
  if (at === null || !data.points.length) return null;
  const far = (point) => Math.abs(point.at_ms + data.step_ms / 2 - at);
  const best = data.points.reduce((one, other) => (far(other) < far(one) ? other : one));
  return far(best) <= data.step_ms * 1.5 ? best : null;
}

export function share(pair) {
  return pair && pair[0] + pair[1] > 0 ? pair[0] / (pair[0] + pair[1]) : null;
}

function total(data, line) {
  const sum = [0, 0];
  for (const point of data.points) {
    const pair = line.at(point) ?? [0, 0];
    sum[0] += pair[0];
    sum[1] += pair[1];
  }
  return share(sum);
}

/** The slices in which something was asked, in runs without a gap. A few idle slices do not end a run. */
function runs(data, line) {
  const all = [];
  let last = null, holes = 0, previous = null;
  for (const point of data.points) {
    if (previous !== null && point.at_ms - previous > data.step_ms * 1.5) last = null;
    previous = point.at_ms;
    if (share(line.at(point)) === null) {
      holes += 1;
      continue;
    }
    if (last === null || holes > 5) all.push([]);
    all.at(-1).push(point);
    last = point;
    holes = 0;
  }
  return all;
}

/** Round times of day, as many as there is room for. */
function ticks(data, inner) {
  const room = Math.max(2, Math.floor(inner / 62));
  const minutes = (data.to_ms - data.from_ms) / 60000;
  const every = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720].find((step) => minutes / step <= room) ?? 1440;
  const step = every * 60000, shift = new Date(data.from_ms).getTimezoneOffset() * 60000;
  const all = [];
  for (let at = Math.ceil((data.from_ms - shift) / step) * step + shift; at <= data.to_ms; at += step) all.push(at);
  return all;
}

function hatch(id) {
  return svg("defs", {}, svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("line", { class: "hatch", x1: 0, x2: 0, y1: 0, y2: 6 })));
}

/** Bars from the left: {name, value, label}. */
export function bars(rows) {
  const most = Math.max(...rows.map((row) => row.value), 0);
  return el("ul", { class: "bars" }, ...rows.map((row) => el("li", {},
    named(row.name), el("span", { class: "figure" }, row.label),
    svg("svg", { class: "bar", width: "100%", height: 8, "aria-hidden": "true" },
      svg("rect", { class: "track", width: "100%", height: 8, rx: 4 }),
      svg("rect", { class: "filled", width: `${most ? Math.max(100 * row.value / most, 0.6) : 0}%`, height: 8, rx: 4 })))));
}

/** Where answers came from, from good to bad. */
export const TIERS = [
  ["hits_local", "local", "this process had it"],
  ["hits_shared", "shared", "the shared tier had it"],
  ["coalesced", "joined", "another call was loading it"],
  ["hits_stale", "stale", "past its time, while a new one was loaded"],
  ["hits_outage", "outage", "from before an outage of the shared tier"],
  ["misses", "miss", "the function ran"],
];

/** The swatch of a tier. */
export function swatch(tier) {
  return svg("svg", { class: "swatch", width: 14, height: 12, "aria-hidden": "true" }, ...segment(tier, 0, "100%", 12));
}

function segment(tier, x, width, height) {
  const parts = [svg("rect", { class: `tier ${tier}`, x, width, height })];
  // A pattern on top, for those who can't tell the colours apart.
  if (tier !== "local") parts.push(svg("rect", { class: "over", x, width, height, fill: `url(#over-${tier})` }));
  return parts;
}

/** The patterns that swatches and stacks refer to; one place in the page has them. */
export function patterns() {
  const lines = { shared: 45, joined: -45, stale: 0, outage: 90 };
  const made = Object.entries(lines).map(([tier, angle]) =>
    svg("pattern", { id: `over-${tier}`, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: `rotate(${angle})` },
      svg("line", { class: "ink", x1: 0, x2: 0, y1: 0, y2: 5 })));
  made.push(svg("pattern", { id: "over-miss", width: 5, height: 5, patternUnits: "userSpaceOnUse" },
    svg("circle", { class: "dotted", cx: 2.5, cy: 2.5, r: 1 })));
  return svg("svg", { class: "unseen", width: 0, height: 0, "aria-hidden": "true" }, svg("defs", {}, ...made));
}

/** A bar of parts for each kind: {name, counters, label}. */
export function stacks(rows) {
  return el("ul", { class: "bars" }, ...rows.map((row) => {
    const all = TIERS.reduce((sum, [field]) => sum + row.counters[field], 0);
    let at = 0;
    const parts = [], words = [];
    for (const [field, tier] of TIERS) {
      const number = row.counters[field];
      if (!number) continue;
      parts.push(...segment(tier, `${100 * at / all}%`, `${100 * number / all}%`, 12));
      words.push(`${tier} ${percent(number / all)}`);
      at += number;
    }
    return el("li", {}, named(row.name), el("span", { class: "figure" }, row.label),
      svg("svg", { class: "stack", width: "100%", height: 12, role: "img", "aria-label": words.join(", ") || "no calls" },
        svg("title", {}, words.join(", ") || "no calls"), ...parts));
  }));
}

export const QUANTILES = [
  ["load_p50_micros", "p50", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0"],
  ["load_p95_micros", "p95", "M-4 -4h8v8h-8z"],
  ["load_p99_micros", "p99", "M0 -5l5 9h-10z"],
];

/** The shape of a quantile. */
export function shape(name, path) {
  return svg("svg", { class: "swatch", width: 14, height: 12, viewBox: "-7 -6 14 12", "aria-hidden": "true" },
    svg("path", { class: `quantile ${name}`, d: path }));
}

/** The quantiles of each kind's loads, on one logarithmic scale. */
export function spreads(rows) {
  const values = rows.flatMap((row) => QUANTILES.map(([field]) => Math.max(row[field], 1)));
  const low = Math.log10(Math.min(...values)), high = Math.log10(Math.max(...values));
  const place = (value) => `${3 + 94 * (high > low ? (Math.log10(Math.max(value, 1)) - low) / (high - low) : 0.5)}%`;
  return el("ul", { class: "bars" }, ...rows.map((row) => el("li", {},
    named(row.name),
    el("span", { class: "figure" }, QUANTILES.map(([field]) => micros(row[field])).join(" · ")),
    svg("svg", { class: "spread", width: "100%", height: 14, "aria-hidden": "true" },
      svg("rect", { class: "track", y: 5, width: "100%", height: 4, rx: 2 }),
      svg("line", { class: "reach", x1: place(row.load_p50_micros), x2: place(row.load_p99_micros), y1: 7, y2: 7 }),
      // From the rarest to the most usual, so that the median is on top where they meet.
      ...QUANTILES.toReversed().map(([field, name, path]) =>
        svg("svg", { x: place(row[field]), y: 7, overflow: "visible" }, svg("path", { class: `quantile ${name}`, d: path })))))));
}

/** What was invalidated over time: applied as columns, queued on top of them. */
export function columns(data) {
  const span_ms = data.to_ms - data.from_ms;
  const most = Math.max(...data.points.map((point) => point.applied + point.queued), 1);
  const wide = Math.max(100 * data.step_ms / span_ms - 0.25, 0.4);
  const all = data.points.reduce((sum, point) => [sum[0] + point.applied, sum[1] + point.queued], [0, 0]);
  const chart = svg("svg", {
    class: "columns", width: "100%", height: 72, role: "img",
    "aria-label": `Invalidations from ${clock(data.from_ms)} to ${clock(data.to_ms)}: ${count(all[0])} applied, ${count(all[1])} queued; `
      + `at most ${count(most)} in ${span(data.step_ms)}`,
  }, hatch("gap-hatch-2"));
  const x = (ms) => Math.max(0, 100 * (ms - data.from_ms) / span_ms);
  for (const [from, to] of gaps(data)) {
    chart.append(svg("rect", { class: "gap", x: `${x(from)}%`, width: `${x(to) - x(from)}%`, height: 70, fill: "url(#gap-hatch-2)" }));
  }
  chart.append(svg("line", { class: "axis", x1: 0, x2: "100%", y1: 70.5, y2: 70.5 }));
  for (const point of data.points) {
    const applied = 64 * point.applied / most, queued = 64 * point.queued / most;
    const place = { x: `${x(point.at_ms)}%`, width: `${wide}%` };
    if (applied) chart.append(svg("rect", { class: "applied", ...place, y: 70 - applied, height: applied }));
    if (queued) chart.append(svg("rect", { class: "queued", ...place, y: 70 - applied - queued, height: queued }));
  }
  return chart;
}
