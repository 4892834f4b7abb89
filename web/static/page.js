// Makes a rendered page live. Updates text nodes and attributes of marked elements, and replaces marked parts;
// computes nothing of the depot: every text comes from the server.
//   data-scope="CP-01/1"           whose fields the elements inside show
//   data-live="text:power class:st"  what of the element shows which field
//   data-part="chart"              replaced whole when its structure changed
import { openStream } from "./stream.js";

const root = document.documentElement;
const body = document.body;
const STALE_MS = 3000;
const main = document.getElementById("main");

// ---------- live fields ----------
const bound = new Map(); // scope -> [[element, kind, field]]

function bind() {
  bound.clear();
  for (const el of document.querySelectorAll("[data-live]")) {
    const scope = el.closest("[data-scope]")?.dataset.scope;
    if (!scope) continue;
    if (!bound.has(scope)) bound.set(scope, []);
    for (const pair of el.dataset.live.split(" ")) {
      const [kind, field] = pair.split(":");
      bound.get(scope).push([el, kind, field]);
    }
  }
}

function show(scope, fields) {
  for (const [el, kind, field] of bound.get(scope) ?? []) {
    if (!(field in fields)) continue;
    const value = fields[field];
    if (kind === "text") {
      if (el.textContent !== value) el.textContent = value;
    } else if (value === null) el.removeAttribute(kind);
    else if (el.getAttribute(kind) !== value) el.setAttribute(kind, value);
  }
}

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html").body;
}

function swap(part, fresh) {
  if (part.innerHTML === fresh.innerHTML) return;
  if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return; // somebody writes there
  const focus = [...part.querySelectorAll("a, button")].indexOf(document.activeElement);
  part.replaceChildren(...Array.from(fresh.childNodes, (n) => document.importNode(n, true)));
  if (focus >= 0) part.querySelectorAll("a, button")[focus]?.focus();
}

// ---------- ticks, staleness ----------
let arrived = performance.now() - 1000 * Number(body.dataset.age || 0);
let since = body.dataset.at || "";

function words(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function setText(selector, text) {
  for (const el of document.querySelectorAll(selector)) if (el.textContent !== text) el.textContent = text;
}

function age() {
  const silent = performance.now() - arrived;
  const stale = silent > STALE_MS;
  setText(stale ? "[data-age-stale]" : "[data-age-live]", words(silent / 1000));
  if (stale === root.hasAttribute("data-stale")) return;
  root.toggleAttribute("data-stale", stale);
  if (stale) setText("[data-stale-since]", since);
  lock(stale);
}

function lock(stale) {
  for (const el of document.querySelectorAll("button[data-command]")) el.disabled = stale;
}

function tick(message) {
  if (message.shape !== body.dataset.shape) {
    location.reload();
    return;
  }
  arrived = performance.now();
  since = message.at;
  for (const [scope, fields] of Object.entries(message.scenes)) show(scope, fields);
  for (const [name, html] of Object.entries(message.parts)) {
    const part = main.querySelector(`[data-part="${name}"]`);
    if (part) swap(part, parse(html));
  }
  if (message.scenes && document.querySelector("[data-filter]")) filter();
  age();
  refresh();
}

// ---------- sections that only this page has (a charger's): fetched after a tick, swapped where they differ ----------
let fetching = false;
let fetched = performance.now();
const every = 1000 * Number(main.querySelector("[data-every]")?.dataset.every || 0); // pages that are dear to build come less often
const own = [...main.querySelectorAll("[data-part]")].filter((el) => !["chart", "notices", "trips"].includes(el.dataset.part));

async function refresh() {
  if (!own.length || fetching || document.hidden || document.querySelector("dialog[open]")) return;
  if (performance.now() - fetched < every) return;
  fetching = true;
  fetched = performance.now();
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { "X-Live": "1" } });
    if (answer.redirected || answer.status === 401) location.reload();
    if (!answer.ok) return;
    const page = parse(await answer.text());
    if (document.querySelector("dialog[open]")) return; // opened while we asked: not under somebody's hands
    for (const part of own) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (fresh) swap(part, fresh);
    }
    lock(root.hasAttribute("data-stale"));
  } catch {
    // the next tick tries again; silence shows as staleness
  } finally {
    fetching = false;
  }
}

// ---------- filter chips ----------
function filter(group) {
  const wall = document.querySelector("[data-filter]");
  if (group) wall.dataset.filter = group;
  const wanted = wall.dataset.filter;
  let any = false;
  for (const feeder of wall.querySelectorAll("[data-feeder]")) {
    let here = false;
    for (const tile of feeder.querySelectorAll("[data-tile]")) {
      const shown = wanted === "all" || tile.dataset.group.split(" ").includes(wanted);
      if (tile.hidden === shown) tile.hidden = !shown;
      here ||= shown;
    }
    feeder.hidden = !here;
    any ||= here;
  }
  document.querySelector("[data-nothing]").hidden = any;
}

// ---------- clicks: chips, dialogs, theme ----------
document.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-chip]");
  const opener = event.target.closest("[data-open]");
  if (chip && document.querySelector("[data-filter]")) {
    event.preventDefault();
    for (const other of document.querySelectorAll("[data-chip]")) other.removeAttribute("aria-current");
    chip.setAttribute("aria-current", "true");
    filter(chip.dataset.chip);
    history.replaceState(null, "", chip.dataset.chip === "all" ? location.pathname : `?show=${chip.dataset.chip}`);
  } else if (opener) {
    const dialog = document.getElementById(opener.dataset.open);
    if (!dialog) return;
    event.preventDefault();
    dialog.showModal();
  } else if (event.target.closest("[data-copy]")) copy(event.target.closest("[data-copy]"));
  else if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  else if (event.target.closest("[data-theme-toggle]")) {
    root.dataset.theme = root.dataset.theme === "light" ? "dark" : "light";
    document.cookie = `chargeyard_theme=${root.dataset.theme}; path=/; max-age=31536000; SameSite=Strict`;
  }
});

document.addEventListener("input", (event) => {
  const field = event.target;
  if (!field.dataset || !field.dataset.preview) return;
  document.getElementById(field.dataset.preview).textContent = field.value || "–";
  document.getElementById(`${field.dataset.preview}-n`).textContent = field.value.length;
});

async function copy(button) {
  const field = document.getElementById(button.dataset.copy);
  field.select(); // where the browser keeps the clipboard to itself (plain http), Ctrl+C does the rest
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target; // of the document: forms in parts that were swapped in count as well
  if (form.method !== "post") return;
  if (form.dataset.sent || (form.hasAttribute("data-command") && root.hasAttribute("data-stale"))) event.preventDefault();
  else form.dataset.sent = "1"; // a second click sends nothing
});
addEventListener("pageshow", () => document.querySelectorAll("form").forEach((f) => delete f.dataset.sent));

// ---------- a touched page keeps its session: at most one word every 5 minutes ----------
let told = performance.now();
for (const kind of ["pointerdown", "keydown"])
  addEventListener(kind, () => {
    if (!body.dataset.stream || performance.now() - told < 300_000) return;
    told = performance.now();
    fetch("/session").then((answer) => answer.status === 401 && location.reload(), () => {});
  });

if (body.dataset.stream) {
  bind();
  lock(root.hasAttribute("data-stale"));
  setInterval(age, 500);
  openStream(body.dataset.stream, tick, () => location.reload());
}
if (body.hasAttribute("data-retry")) setTimeout(() => location.reload(), 3000);
for (const toast of document.querySelectorAll(".toasts")) if (!toast.querySelector(".alarm")) setTimeout(() => (toast.hidden = true), 15_000);
