// The page: asks for the figures again and again, draws them, and says when it has lost touch. Figures that
// are not of now are never shown as if they were.

import { LOOKS, QUANTILES, TIERS, bars, columns, nearest, patterns, ratios, sample, shape, share, spreads, stacks, swatch } from "./charts.js";
import { bytes, clock, count, el, micros, named, percent, put, short, span, table } from "./dom.js";
import { askToDrop, prepare as prepareLookup } from "./lookup.js";

const EVERY = 2000, PATIENCE = 10000, SLOWEST = 30000;
/** From which age on figures are old: two answers that did not come. */
const OLD = 7000;
const SHOWN = 8;

const at = (id) => document.getElementById(id);
const asked = { of: "node", range: "5m" };
const chosen = new Map();
let data = null, answered = null, seen = null, failures = 0, failure = "", timer = 0, running = null, cursor = null;

// ---- asking

async function ask() {
  clearTimeout(timer);
  running?.abort();
  // Who can't see it need not ask; it asks when it is seen again.
  if (document.hidden) return;
  const mine = running = new AbortController();
  const late = setTimeout(() => mine.abort(), PATIENCE);
  try {
    const query = new URLSearchParams(asked);
    const response = await fetch(new URL(`data.json?${query}`, import.meta.url), { signal: mine.signal, cache: "no-store" });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error ?? `the service answered ${response.status}`);
    if (mine !== running) return;
    [data, answered, seen, failures, failure] = [answer, performance.now(), Date.now(), 0, ""];
    render();
  } catch (error) {
    if (mine !== running) return;
    failures += 1;
    failure = error.name === "AbortError" ? `no answer within ${PATIENCE / 1000} s` : error.message;
  } finally {
    clearTimeout(late);
    if (mine === running) {
      tell();
      timer = setTimeout(ask, Math.min(EVERY * 2 ** failures, SLOWEST));
    }
  }
}

/** Says whether what is shown is of now. */
function tell() {
  const age = answered === null ? null : performance.now() - answered;
  const lost = failures > 0 || age === null || age > OLD;
  at("figures").classList.toggle("old", lost && answered !== null);
  at("live").className = `live ${answered === null && !failures ? "waiting" : lost ? "lost" : "good"}`;
  const text = answered === null
    ? failures ? `No answer yet: ${failure}` : "Connecting…"
    : lost ? `Lost touch. Figures are from ${clock(seen, true)}${failure ? `: ${failure}` : ""}` : "Live";
  if (at("live-text").textContent !== text) at("live-text").textContent = text;
}

// ---- drawing

function render() {
  at("title").textContent = document.title = data.title;
  at("shared").textContent = data.health.shared ?? "in this process only";
  const kinds = Object.entries(data.kinds).map(([name, kind]) => ({ name, ...kind, calls: kind.hits + kind.counters.misses }));
  notices(kinds);
  tiles(kinds);
  state();
  ratio(kinds);
  saved(kinds);
  tiers(kinds);
  latency(kinds);
  everything(kinds);
  invalidations();
  nodes();
  at("drop").hidden = !data.invalidation;
  put(at("foot"), `cache-core ${data.version} · this process has been up for ${span(data.uptime_ms)}`);
}

const sum = (kinds, of) => kinds.reduce((all, kind) => all + of(kind), 0);
const ofKind = (kind) => share([kind.hits, kind.counters.misses]);

function notice(level, ...parts) {
  const sign = { bad: "■", warn: "▲", note: "●" }[level];
  return el("p", { class: `notice ${level}` }, el("span", { class: "sign", "aria-hidden": "true" }, sign), el("span", {}, ...parts));
}

function notices() {
  const all = [], health = data.health;
  if (data.fault) all.push(notice("bad", `The cache is switched off, and every call runs its function: ${data.fault}`));
  if (health.shared && !health.usable) {
    all.push(notice("bad", "The breaker is open: the shared tier is not used until it answers again. Calls run their functions; nothing waits for it."));
  }
  if (health.queued) {
    all.push(notice("warn", `${count(health.queued)} ${health.queued === 1 ? "invalidation waits" : "invalidations wait"} for the shared tier, and will be applied before it is used again.`));
  }
  if (health.journal_behind) all.push(notice("bad", "The journal's disk fails: what waits would be lost with this process."));
  const missing = data.nodes?.list.filter((node) => node.missing) ?? [];
  if (missing.length) {
    const names = missing.slice(0, 5).flatMap((node, n) => [n ? ", " : "", named(nodeName(node))]);
    all.push(notice("warn", missing.length === 1 ? "A node has missed its reports: " : `${count(missing.length)} nodes have missed their reports: `, ...names, "."));
  }
  if (data.unclaimed_policies.length) {
    const names = data.unclaimed_policies.flatMap((name, n) => [n ? ", " : "", named(name)]);
    all.push(notice("warn", data.unclaimed_policies.length === 1 ? "A policy that no function has used so far: " : "Policies that no function has used so far: ", ...names, ". Most likely misspelt."));
  }
  if (asked.of === "fleet" && data.of !== "fleet") {
    all.push(notice("note", `The figures of the fleet are not to be had, so these are of this node only: ${data.fleet_error}.`));
  }
  put(at("notices"), ...all);
}

function tile(name, figure, under) {
  return el("div", { class: "tile" }, el("p", { class: "label" }, name), el("p", { class: "big" }, figure), el("p", { class: "quiet" }, under));
}

function tiles(kinds) {
  const hits = sum(kinds, (kind) => kind.hits), calls = sum(kinds, (kind) => kind.calls);
  const loads = sum(kinds, (kind) => kind.counters.loads), errors = sum(kinds, (kind) => kind.counters.load_errors + kind.counters.load_timeouts);
  const fleet = data.of === "fleet", list = data.nodes?.list;
  const entries = fleet && list ? sum(list, (node) => node.local_entries) : data.here.local_entries;
  const size = fleet && list ? sum(list, (node) => node.local_bytes) : data.here.local_bytes;
  const seconds = data.covered_ms / 1000;
  const always = share([data.here.hits, data.here.misses]);
  put(at("tiles"),
    tile("Hit ratio", percent(share([hits, calls - hits])), fleet ? `of ${short(calls)} calls` : `${percent(always)} since it started`),
    tile("Calls", seconds > 0 ? `${short(calls / seconds)}\u202f/s` : "–", `${short(calls)} since ${clock(Math.max(data.from_ms, data.since_ms))}`),
    tile("Time saved", span(sum(kinds, (kind) => kind.saved_ms)), "of running functions"),
    tile("Loads", short(loads), errors ? `${short(errors)} failed` : "none failed"),
    tile("Local entries", short(entries), `${bytes(size)}, ${fleet ? "all nodes" : "now"}`),
    list ? tile("Nodes", count(list.length), list.some((node) => node.missing) ? `${count(list.filter((node) => node.missing).length)} missing` : "all report") : null);
}

function state() {
  const health = data.health, totals = data.totals;
  const row = (level, name, value, words) => [
    el("dt", {}, name),
    el("dd", {}, el("span", { class: `mark ${level}` }, el("span", { class: "sign", "aria-hidden": "true" }, { good: "●", warn: "▲", bad: "■", none: "○" }[level]), ` ${value}`),
      el("span", { class: "quiet" }, words)),
  ];
  const rows = [];
  if (!health.shared) rows.push(row("none", "Shared tier", "none", "Values live in this process only, and so do invalidations."));
  else if (health.usable) rows.push(row("good", "Breaker", "closed", "Calls use the shared tier."));
  else rows.push(row("bad", "Breaker", "open", "Calls go past the shared tier, and are not held up by it."));
  if (health.shared) {
    rows.push(health.trusted
      ? row("good", "Coherence", "told", "The shared tier tells of every change, so local values are served unasked.")
      : row("warn", "Coherence", "checked", "Nothing tells of changes at the moment: each call asks whether its value still stands."));
    rows.push(health.queued
      ? row("warn", "Queue", count(health.queued), "Invalidations that wait for the shared tier.")
      : row("good", "Queue", "empty", "No invalidation waits for the shared tier."));
    rows.push(health.journal_behind
      ? row("bad", "Journal", "behind", "Its disk fails: what waits would be lost with this process.")
      : row("good", "Journal", "not behind", "Nothing that waits is missing from it, where there is one."));
  }
  const rare = [["breaker_opened", "breaker opened"], ["trust_lost", "touch lost"], ["epoch_steps", "started afresh"], ["queue_widened", "queue widened"], ["distrusted", "nonsense heard"], ["journal_errors", "journal errors"]];
  const happened = rare.filter(([field]) => totals[field]).map(([field, words]) => `${words} ${count(totals[field])}×`);
  rows.push([el("dt", {}, { "5m": "In 5 min", "1h": "In 1 h", "24h": "In 24 h" }[data.range]), el("dd", {}, el("span", { class: "quiet" }, (data.of === "fleet" && happened.length ? "All nodes: " : "") + (happened.join(", ") || "Nothing out of the ordinary.")))]);
  put(at("state"), ...rows.flat());
}

/** The kinds' colours and dashes: by name, so that they stay what they are. */
function looks(kinds) {
  const names = kinds.map((kind) => kind.name).sort();
  return new Map(names.map((name, n) => [name, `look${n % LOOKS}`]));
}

function ratio(kinds) {
  const look = looks(kinds);
  const most = kinds.toSorted((a, b) => b.calls - a.calls).slice(0, 6).map((kind) => kind.name);
  const names = kinds.map((kind) => kind.name).sort();
  const isOn = (name) => chosen.get(name) ?? most.includes(name);
  const all = { name: "all kinds", look: "all", at: (point) => Object.values(point.kinds).reduce(([h, m], [hits, misses]) => [h + hits, m + misses], [0, 0]) };
  const lines = [...names.filter(isOn).map((name) => ({ name, look: look.get(name), at: (point) => point.kinds[name] })), all];
  const box = at("ratio-chart");
  if (!kinds.some((kind) => kind.calls)) {
    put(box, empty(kinds.length));
    put(at("ratio-legend"));
    put(at("ratio-table"));
    at("ratio-note").textContent = "";
    return;
  }
  const drawn = ratios(box, data, lines, cursor);
  const near = nearest(data, cursor);
  const read = near ? [el("strong", {}, clock(near.at_ms, data.step_ms < 60000)), ...lines.toReversed().flatMap((line) => [" · ", named(line.name), ` ${percent(share(line.at(near)))}`])]
    : [cursor === null ? "Point at the chart, or use its arrow keys, to read single moments." : "No figures at this moment."];
  put(box, drawn.chart, el("p", { class: "readout quiet", "aria-live": "polite" }, ...read));
  box.when = drawn.when;
  put(at("ratio-legend"), el("span", { class: "entry" }, sample("all"), "all kinds"), ...names.map((name) =>
    el("button", { type: "button", class: "entry", "aria-pressed": String(isOn(name)), "data-focus": `line ${name}`,
      onclick: () => { chosen.set(name, !isOn(name)); render(); } }, sample(look.get(name)), named(name))));
  at("ratio-note").textContent = data.of === "fleet" ? "all nodes, by minute" : `this node, since ${clock(Math.max(data.from_ms, data.since_ms))}`;
  if (at("ratio-table").parentElement.open) {
    const rows = data.points.toReversed().slice(0, 60).map((point) => [clock(point.at_ms, data.step_ms < 60000), ...lines.map((line) => percent(share(line.at(point))))]);
    put(at("ratio-table"), table("Hit ratio by time and kind", ["Time", ...lines.map((line) => named(line.name))], rows));
  }
}

function empty(known) {
  if (known) return el("p", { class: "empty" }, "No calls in this time. The figures move as soon as a cached function is called.");
  return el("div", { class: "empty" },
    el("p", {}, "No calls yet: annotate a function, and call it."),
    el("pre", {}, el("code", {}, '#[cached(kind = "user_profile", ttl = "30m", tags("user:{id}"))]\nasync fn user_profile(id: u64) -> Result<Profile, DbError> { .. }')),
    el("p", {}, "Its figures are here within two seconds."));
}

const nothing = (text) => el("p", { class: "empty small" }, text);

function saved(kinds) {
  const rows = kinds.filter((kind) => kind.saved_ms > 0).sort((a, b) => b.saved_ms - a.saved_ms).slice(0, SHOWN);
  put(at("saved"), rows.length ? bars(rows.map((kind) => ({ name: kind.name, value: kind.saved_ms, label: span(kind.saved_ms) })))
    : nothing("Nothing saved yet: a hit saves the time that its kind's loads take on average."));
}

function tiers(kinds) {
  const rows = kinds.filter((kind) => kind.calls).sort((a, b) => b.calls - a.calls).slice(0, SHOWN);
  put(at("tiers-legend"), ...TIERS.map(([, tier, words]) => el("span", { class: "entry", title: words }, swatch(tier), tier)));
  put(at("tiers"), rows.length ? stacks(rows.map((kind) => ({ ...kind, label: `${short(kind.calls)} calls` }))) : nothing("No calls in this time."));
}

function latency(kinds) {
  const rows = kinds.filter((kind) => kind.load_p50_micros !== null).sort((a, b) => b.load_p95_micros - a.load_p95_micros).slice(0, SHOWN);
  put(at("latency-legend"), ...QUANTILES.map(([, name, path]) => el("span", { class: "entry" }, shape(name, path), name)), el("span", { class: "entry quiet" }, "logarithmic"));
  put(at("latency"), rows.length ? spreads(rows) : nothing("Nothing was loaded in this time."));
}

/** What seldom happens has a column only where it has happened. */
const RARE = [["hits_stale", "stale"], ["hits_outage", "outage"], ["bypassed", "bypassed"], ["load_errors", "load errors"],
  ["load_timeouts", "timeouts"], ["rescued", "rescued"], ["fills_refused", "fills refused"], ["undecodable", "unreadable"],
  ["unkeyed", "without key"], ["store_errors", "store errors"], ["updates", "updates"], ["updates_refused", "updates refused"], ["evictions", "evicted"]];

function everything(kinds) {
  const rare = RARE.filter(([field]) => kinds.some((kind) => kind.counters[field]));
  const heads = ["Kind", "calls", "hit ratio", "local", "shared", "joined", "miss", "p50", "p95", "p99", "saved", ...rare.map(([, words]) => words)];
  // What a node has of a kind at this moment, nodes do not report.
  const here = data.of === "node";
  if (here) heads.push("entries", "size");
  if (data.invalidation) heads.push(el("span", { class: "unseen" }, "Invalidate"));
  const rows = kinds.toSorted((a, b) => b.calls - a.calls).map((kind) => {
    const counters = kind.counters;
    const row = [named(kind.name), count(kind.calls), percent(ofKind(kind)),
      ...["hits_local", "hits_shared", "coalesced", "misses"].map((field) => count(counters[field])),
      micros(kind.load_p50_micros), micros(kind.load_p95_micros), micros(kind.load_p99_micros), span(kind.saved_ms),
      ...rare.map(([field]) => count(counters[field]))];
    if (here) row.push(count(kind.local_entries), bytes(kind.local_bytes));
    if (data.invalidation) {
      row.push(el("button", { type: "button", class: "small danger", "data-focus": `drop kind ${kind.name}`, "aria-label": `Invalidate the kind ${kind.name}…`,
        onclick: () => askToDrop("kind", kind.name) }, "Invalidate…"));
    }
    return row;
  });
  put(at("kinds"), rows.length ? table("All figures of each kind", heads, rows) : empty(0));
  at("kinds-note").textContent = data.of === "fleet" ? "all nodes" : "this node";
}

function invalidations() {
  const totals = data.totals;
  at("gone-note").textContent = data.of === "fleet" ? "all nodes" : "this node";
  const figure = (name, number, words) => [el("dt", {}, name), el("dd", {}, el("strong", {}, count(number)), el("span", { class: "quiet" }, words))];
  put(at("gone"), columns(data), el("p", { class: "ends quiet" }, el("span", {}, clock(data.from_ms)), el("span", {}, clock(data.to_ms))),
    el("dl", { class: "state" },
      ...figure("Applied", totals.invalidations_applied, "took effect everywhere before they returned"),
      ...figure("Queued", totals.invalidations_queued, "kept, since the shared tier was away"),
      ...figure("Replayed", totals.invalidations_replayed, "carried out once it was back")));
}

const nodeName = (node) => `${node.host || "node"}:${node.process}`;

function nodes() {
  const known = data.nodes;
  at("of-fleet").disabled = !known && asked.of !== "fleet";
  if (!known) {
    at("nodes-note").textContent = "";
    put(at("nodes"), nothing(`Nothing is known of other nodes: ${data.fleet_error ?? "no figures of a fleet are kept"}.`));
    return;
  }
  at("nodes-note").textContent = `as they reported, ${clock(known.now_ms, true)}`;
  if (!known.list.length) {
    put(at("nodes"), nothing("No node has reported yet. Each does so a few times a minute, the first time within seconds."));
    return;
  }
  const rows = known.list.map((node) => {
    const marks = [node.missing ? ["bad", "■ missing"] : ["good", "● reports"]];
    if (node.breaker_open) marks.push(["warn", "▲ breaker open"]);
    else if (!node.trusted) marks.push(["warn", "▲ checks each call"]);
    return [named(nodeName(node), { title: `node ${node.name}` }), el("span", { class: "marks" }, ...marks.map(([level, text]) => el("span", { class: `mark ${level}` }, text))),
      `${span(Math.max(0, known.now_ms - node.seen_ms))} ago`, span(Math.max(0, known.now_ms - node.started_ms)),
      count(node.invalidations_pending), count(node.local_entries), bytes(node.local_bytes), named(node.version)];
  });
  put(at("nodes"), table("Nodes", ["Node", "State", "Last seen", "Up for", "Pending", "Entries", "Size", "Version"], rows));
}

// ---- what people do

function point(moment) {
  cursor = moment;
  if (data) render();
}

function prepare() {
  document.body.append(patterns());
  for (const input of document.querySelectorAll("input[name=of], input[name=range]")) {
    // A browser may remember what was chosen when the page is loaded again.
    if (input.checked) asked[input.name] = input.value;
    input.addEventListener("change", () => {
      asked[input.name] = input.value;
      cursor = null;
      ask();
    });
  }
  const chart = at("ratio-chart");
  chart.addEventListener("pointermove", (event) => {
    const drawn = chart.querySelector("svg.ratios");
    if (drawn && drawn.contains(event.target)) point(chart.when(event.clientX - drawn.getBoundingClientRect().left));
  });
  chart.addEventListener("pointerleave", () => point(null));
  chart.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !data?.points.length) return;
    event.preventDefault();
    const now = data.points.indexOf(nearest(data, cursor));
    const next = now < 0 ? data.points.length - 1 : Math.min(data.points.length - 1, Math.max(0, now + by));
    point(data.points[next].at_ms + data.step_ms / 2);
  });
  new ResizeObserver(() => data && render()).observe(chart);
  at("ratio-table").parentElement.addEventListener("toggle", () => data && render());
  document.addEventListener("visibilitychange", () => {
    tell();
    if (!document.hidden) ask();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, select, textarea, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      at("key").focus();
    }
  });
  const themes = { auto: "Auto", light: "Light", dark: "Dark" };
  const root = document.documentElement.dataset;
  const name = () => { at("theme-name").textContent = themes[root.theme ?? "auto"]; };
  at("theme").addEventListener("click", () => {
    const order = Object.keys(themes), next = order[(order.indexOf(root.theme ?? "auto") + 1) % order.length];
    if (next === "auto") delete root.theme;
    else root.theme = next;
    try {
      localStorage.setItem("cache-theme", next);
    } catch {
      // Storage can be forbidden: it holds until the page is left.
    }
    name();
  });
  name();
  prepareLookup(() => data);
  setInterval(tell, 1000);
}

prepare();
ask();
