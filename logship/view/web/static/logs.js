// The page of lines, made live. Owns the rows, the pause and the address bar; the server made the first rows and
// everything that is shown is text it has made harmless. Nothing is buffered here: whoever pauses, or looks at older
// rows, keeps a cursor, and the store gives what came since.

import { address, element, row, sorted } from "./rows.js";

const ROWS_MAX = 5000;
const FIELDS = ["q", "query", "grep", "i", "n", "since", "snapshots"];
const COLUMNS = [["p", 6, 20], ["g", 6, 14]]; // classes of widths there are, in characters: containers, programs

const form = document.getElementById("query");
const view = document.getElementById("rows");
const list = document.getElementById("list");
const empty = document.getElementById("empty");
const pill = document.getElementById("pill");
const pause = document.getElementById("pause");
const state = document.getElementById("state");
const hidden = document.getElementById("hidden");

let source = null;
let cursor = document.body.dataset.cursor; // everything before it is shown, or was left out by the count
let paused = false;
let waiting = 0; // lines that came while nobody wanted them shown
let showing = true; // false: what comes is counted, not shown
let generation = 0; // of the query: answers to an older one are dropped

function parameters(more) {
  const found = new URLSearchParams(more);
  for (const name of FIELDS) {
    const field = form.elements[name];
    const value = field.type === "checkbox" ? (field.checked ? field.value : "") : field.value.trim();
    if (value && !(name in more)) found.set(name, value);
  }
  return found;
}

// What the address bar says, and the links in rows: the query, and how it looks.
function page(more) {
  const found = parameters(more);
  if (form.elements.wrap.checked) found.set("wrap", "1");
  return "/logs" + (found.size ? "?" + found : "");
}

function tell(text, bad = false) {
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("bad", bad);
}

// A container or program with a longer name than there was: its column grows, up to a bound.
function widen(record) {
  for (const [at, name] of [record.place, record.program].entries()) {
    const [kind, least, most] = COLUMNS[at];
    const wide = Math.min(Math.max(name.length + (name.length % 2), least), most);
    const old = [...list.classList].find((one) => one.startsWith(kind) && Number(one.slice(1)));
    if (wide > Number(old.slice(1))) list.classList.replace(old, kind + wide);
  }
}

function hide(lines) {
  const total = Number(hidden.dataset.lines) + lines;
  hidden.dataset.lines = total;
  hidden.textContent = total ? `(${total.toLocaleString("en")} hidden)` : "";
}

const atEnd = () => view.scrollHeight - view.scrollTop - view.clientHeight < 30;
function toEnd() { view.scrollTop = view.scrollHeight; }

function add(records) {
  const fragment = document.createDocumentFragment();
  for (const record of records) {
    // A batch that was cut off by a lost connection comes again, whole.
    if (document.getElementById(address(record))) continue;
    widen(record);
    fragment.append(row(record, page));
  }
  list.append(fragment);
  const over = list.children.length - ROWS_MAX;
  if (over > 0) {
    for (let left = over; left > 0; left -= 1) list.firstElementChild.remove();
    if (!document.getElementById("trimmed")) {
      const note = element("p", "trimmed", `Only the newest ${ROWS_MAX.toLocaleString("en")} rows stay on this page; the store has the others.`);
      note.id = "trimmed";
      list.before(note);
    }
  }
  empty.hidden = list.children.length > 0;
}

function addGap(record) {
  const made = element("li", "gap", record.text + " ");
  const button = element("button", "", "load them");
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    const found = await read(parameters({ cursor: record.cursor, at: record.at, shown: "1" }));
    if (found.fault) { button.disabled = false; tell(found.fault, true); return; }
    made.replaceWith(...found.records.filter((one) => !document.getElementById(address(one))).map((one) => row(one, page)));
  });
  made.append(button);
  list.append(made);
}

async function read(query) {
  try {
    const answer = await fetch("/api/logs?" + query);
    const body = await answer.text();
    if (!answer.ok) {
      const refusal = JSON.parse(body);
      if (refusal.error !== "reading") return { fault: refusal.text, records: [], hidden: 0 };
      tell(refusal.text + " …");
      await new Promise((done) => setTimeout(done, 1000));
      return read(query);
    }
    const records = body.split("\n").filter((line) => line).map((line) => JSON.parse(line));
    const last = records.at(-1);
    const fault = last.type === "error" ? last.text : last.type === "cursor" ? "" : "the answer was cut off";
    return { fault, cursor: last.cursor, ...sorted(records) };
  } catch (error) {
    return { fault: "the viewer cannot be reached", records: [], hidden: 0 };
  }
}

function count(number) {
  waiting += number;
  pill.hidden = waiting === 0 && showing;
  pill.textContent = waiting === 0 ? "To the newest ↓" : `${waiting.toLocaleString("en")} new line${waiting === 1 ? "" : "s"} ↓`;
}

function connect() {
  source?.close();
  if (!cursor || document.hidden) return;
  const live = new EventSource("/api/logs/live?" + parameters({ cursor, shown: "1" }));
  source = live;
  live.addEventListener("open", () => tell(paused ? "paused" : "live"));
  live.addEventListener("error", () => {
    if (source !== live) return;
    tell("connection lost; trying again", true);
    // A browser gives up for good when it is answered with an error; we do not.
    if (live.readyState === EventSource.CLOSED) setTimeout(() => { if (source === live) reconnect(); }, 2000);
  });
  live.addEventListener("lines", (event) => {
    const { records, hidden: more } = sorted(JSON.parse(event.data));
    if (!showing) { count(records.filter((one) => one.type === "line").length); return; }
    const follow = atEnd();
    add(records);
    hide(more);
    if (event.lastEventId) cursor = event.lastEventId;
    if (follow) toEnd();
  });
  live.addEventListener("replaced", () => query(false));
  live.addEventListener("at", (event) => { if (showing) cursor = event.lastEventId; });
  live.addEventListener("gap", (event) => {
    const record = JSON.parse(event.data);
    if (!showing) { count(record.lines); return; }
    addGap(record);
    cursor = event.lastEventId;
    toEnd();
  });
}

// After a refusal: where the journal ends before the cursor, it is another one, and is read anew.
async function reconnect() {
  const before = source;
  try {
    const health = await (await fetch("/healthz")).json();
    if (source !== before) return;
    if (health.cursor && BigInt(health.cursor) < BigInt(cursor)) { query(false); return; }
  } catch { /* the viewer is still away */ }
  connect();
}

// While nothing is shown the cursor stands still; from there the store gives all of it.
function show(on) {
  if (on === showing) return;
  showing = on;
  if (on) {
    waiting = 0;
    connect();
  }
  count(0);
}

function setPaused(on) {
  paused = on;
  pause.textContent = on ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(on));
  tell(on ? "paused" : "live");
  if (!on) toEnd();
  show(!on && atEnd());
}

async function query(push) {
  generation += 1;
  const mine = generation;
  source?.close();
  source = null;
  if (push) history.pushState(null, "", page({}));
  tell("reading …");
  const found = await read(parameters({ shown: "1", follow: "0" }));
  if (mine !== generation) return;
  document.querySelector(".fault")?.remove();
  document.getElementById("trimmed")?.remove();
  list.replaceChildren();
  empty.textContent = found.fault ? "" : "No line matches yet.";
  if (found.fault) {
    const said = element("p", "fault", found.fault);
    said.setAttribute("role", "alert");
    view.before(said);
    tell("not live", true);
  }
  document.title = `${form.elements.q.value || "all"}${form.elements.grep.value ? " · " + form.elements.grep.value : ""} · logs`;
  add(found.records);
  hide(found.hidden - Number(hidden.dataset.lines));
  toEnd();
  paused = false;
  pause.textContent = "Pause";
  pause.setAttribute("aria-pressed", "false");
  waiting = 0;
  showing = true;
  count(0);
  cursor = found.fault ? "" : found.cursor;
  connect();
}

form.addEventListener("submit", (event) => { event.preventDefault(); query(true); });
form.addEventListener("change", (event) => {
  if (event.target.name === "wrap") {
    const follow = atEnd();
    list.classList.toggle("wrap", event.target.checked);
    history.replaceState(null, "", page({}));
    if (follow) toEnd();
  } else if (event.target.matches("select, [type=checkbox]")) {
    query(true);
  }
});
// Who marks text in a line to copy it does not open or close it.
list.addEventListener("click", (event) => {
  if (event.target.closest("summary") && !getSelection().isCollapsed) event.preventDefault();
});
let typed = 0;
form.addEventListener("input", (event) => {
  if (!event.target.matches("[name=q], [name=query], [name=grep]")) return;
  clearTimeout(typed);
  typed = setTimeout(() => history.replaceState(null, "", page({})), 300);
});
window.addEventListener("popstate", () => location.reload());
pause.addEventListener("click", () => setPaused(!paused));
pill.addEventListener("click", () => { if (paused) setPaused(false); toEnd(); show(true); });
view.addEventListener("scroll", () => { if (!paused) show(atEnd()); }, { passive: true });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea, button, a");
  if (event.key === "Escape" && typing) { event.target.blur(); view.focus(); }
  if (typing) return;
  if (event.key === " ") { event.preventDefault(); setPaused(!paused); }
  if (event.key === "/") { event.preventDefault(); form.elements.grep.focus(); }
  if (event.key === "G" || event.key === "End") { event.preventDefault(); toEnd(); }
});
// A hidden page holds no connection: a browser has six for one site, and nobody looks.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { source?.close(); source = null; } else { waiting = 0; count(0); connect(); }
});

pause.hidden = false;
toEnd();
connect();
