// Looking up a key, and invalidating: each time with a question first that says what exactly goes.

import { bytes, clock, el, focusOn, micros, named, put, span, visible } from "./dom.js";

const at = (id) => document.getElementById(id);
let page = () => null, shown = null, number = 0;

/** Readies the forms. `data` is what the page knows. */
export function prepare(data) {
  page = data;
  at("look").addEventListener("submit", (event) => {
    event.preventDefault();
    look(at("key").value.trim());
  });
  at("drop").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = at("drop-name").value.trim();
    if (name) askToDrop(at("drop-what").value, name);
    else at("drop-name").focus();
  });
}

async function look(key) {
  const mine = number += 1;
  shown = key;
  if (!key) {
    put(at("found"), el("p", { class: "notice note" }, "Write a key: kind:function:arguments, as redis-cli shows it between the braces."));
    return;
  }
  let found;
  try {
    found = await asJson(fetch(new URL(`entry.json?key=${encodeURIComponent(key)}`, import.meta.url), { cache: "no-store" }));
  } catch (error) {
    found = { error: error.message };
  }
  // Another one was asked for meanwhile.
  if (mine !== number) return;
  put(at("found"), ...(found.error ? [el("p", { class: "notice bad" }, visible(found.error))] : render(found)));
}

async function asJson(request) {
  const response = await request;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `the service answered ${response.status}`);
  return answer;
}

function render(found) {
  const may = page()?.invalidation;
  const kind = found.key.split(":")[0];
  const parts = [el("p", { class: "found-key" }, named(found.key), el("span", { class: "quiet" }, ` looked up at ${clock(Date.now(), true)}`))];
  parts.push(el("div", { class: "tiers" }, local(found.local), shared(found)));
  if (found.value !== null) parts.push(el("h3", {}, "Value"), el("pre", { class: "value", tabindex: 0 }, el("code", {}, el("bdi", {}, visible(found.value)))));
  else if (page()?.values && (found.local || found.shared)) parts.push(el("p", { class: "quiet" }, "The value can't be shown: this process has not called the function so far, so it does not know the type."));
  if (may) {
    const tags = new Set([...(found.local?.tags ?? []), ...(found.shared?.tags ?? [])].map(({ tag }) => tag).filter((tag) => !tag.startsWith("~")));
    const button = (what, name, ...words) => el("button", { type: "button", class: "danger small", "data-focus": `drop ${what} ${name}`, onclick: () => askToDrop(what, name) }, ...words);
    parts.push(el("div", { class: "buttons", role: "group", "aria-label": "Invalidate" },
      button("key", found.key, "Invalidate this key…"),
      ...[...tags].map((tag) => button("tag", tag, "Tag ", named(tag), "…")),
      button("kind", kind, "Kind ", named(kind), "…")));
  }
  return parts;
}

function tags(list) {
  if (!list.length) return [];
  return [el("dt", {}, "Tags"), el("dd", {}, el("ul", { class: "chips" }, ...list.map(({ tag, current }) =>
    el("li", { class: current ? "chip" : "chip gone" }, el("span", { "aria-hidden": "true" }, current ? "✓ " : "✗ "),
      tag === "~" ? "everything" : tag.startsWith("~") ? el("span", {}, "kind ", named(tag.slice(1))) : named(tag),
      el("span", { class: "quiet" }, current ? " current" : " invalidated")))))];
}

function facts(title, level, verdict, rows, list) {
  return el("section", { class: "tier-card" }, el("h3", {}, title),
    el("p", { class: `mark ${level}` }, verdict),
    el("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]), ...tags(list)));
}

function local(entry) {
  const title = "In this process";
  if (!entry) return facts(title, "none", "○ nothing", [], []);
  const verdict = !entry.holds ? ["bad", "✗ ended: never served again"] : entry.fresh_ms ? ["good", "✓ fresh"] : ["warn", "▲ stale"];
  return facts(title, ...verdict, [
    ["Fresh for", entry.fresh_ms ? span(entry.fresh_ms) : "no longer"], ["Kept for", span(entry.left_ms)],
    ["Size", `${bytes(entry.bytes)}, estimated`], ["Load took", micros(entry.cost_micros)],
  ], entry.tags);
}

function shared({ shared: entry, shared_error: error }) {
  const title = "In the shared tier";
  if (error) return facts(title, "bad", `■ not known: ${visible(error)}`, [], []);
  if (!entry) return facts(title, "none", page()?.health.shared ? "○ nothing" : "○ there is none", [], []);
  if (entry.problem) return facts(title, "bad", `✗ unreadable: ${visible(entry.problem)}`, [["Size", bytes(entry.bytes)]], []);
  const valid = entry.tags.every(({ current }) => current);
  const fresh = entry.ttl_ms - entry.age_ms;
  const verdict = !valid ? ["bad", "✗ ended: a tag was invalidated"] : fresh > 0 ? ["good", "✓ fresh"] : ["warn", "▲ stale"];
  return facts(title, ...verdict, [
    ["Age", `${span(entry.age_ms)}, of a time to live of ${span(entry.ttl_ms)}`],
    ["Fresh for", fresh > 0 ? span(fresh) : "no longer"], ["Kept for", entry.left_ms === null ? "not known" : span(entry.left_ms)],
    ["Size", bytes(entry.bytes)], ["Codec", named(entry.codec)], ["Load took", micros(entry.cost_micros)],
  ], entry.tags);
}

const MEANING = {
  key: "This one entry goes, in this process, in the shared tier and on every other node. The next call runs the function.",
  tag: "Every entry that carries this tag goes, whatever its kind, on every node. The next call for each of them runs its function.",
  kind: "Every entry of this kind goes, on every node. All of its calls run their functions until they are cached again: expect load on what is behind them.",
};

/** Asks whether to invalidate, and does so. */
export function askToDrop(what, name) {
  const dialog = at("sure"), from = document.activeElement?.dataset?.focus;
  at("sure-head").textContent = `Invalidate this ${what}?`;
  at("sure-name").textContent = visible(name);
  at("sure-text").textContent = MEANING[what];
  at("sure-yes").textContent = `Invalidate the ${what}`;
  dialog.returnValue = "no";
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue === "yes") await drop(what, name);
    // What asked may have been drawn anew meanwhile, and the browser could not go back to it. Where it could, whoever
    // is there has gone on by now: this is told a moment after the dialog has closed.
    const lost = !document.activeElement || document.activeElement === document.body;
    if (lost && from && !focusOn(document, from)) at("key").focus();
  }, { once: true });
  dialog.showModal();
  // Enter by mistake keeps everything.
  at("sure-no").focus();
}

async function drop(what, name) {
  say("note", `Invalidating the ${what} `, name, "…");
  try {
    const answer = await asJson(fetch(new URL("invalidate", import.meta.url), {
      method: "POST",
      headers: { "content-type": "application/json", "x-cache-dashboard": "1" },
      body: JSON.stringify({ [what]: name }),
    }));
    if (answer.outcome === "applied") say("good", `Applied: the ${what} `, name, page()?.health.shared ? " is invalidated, here and in the shared tier. Other nodes are told at once." : " is invalidated in this process.");
    else if (answer.outcome === "queued") say("warn", `Queued: the ${what} `, name, " is invalidated here. The shared tier can't be reached; it is kept, and applied before the shared tier is used again.");
    else say("warn", `Kept: the ${what} `, name, " will be invalidated when the transaction around the page has ended.");
  } catch (error) {
    say("bad", `Not invalidated: the ${what} `, name, `. ${error.message}`);
  }
  if (shown) await look(shown);
}

function say(level, before, name, after) {
  const sign = { good: "✓", warn: "▲", bad: "■", note: "…" }[level];
  put(at("outcome"), el("span", { class: `mark ${level}` }, sign), ` ${before}`, named(name), after);
}
