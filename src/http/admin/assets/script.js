// Keeps what is shown as it is: the server says what has changed, and the part that shows it is asked for again.
"use strict";

const live = document.getElementById("live");
const parts = [...document.querySelectorAll("[data-part]")];

function say(word, kind) {
  if (!live) return;
  live.textContent = word;
  live.className = `live ${kind}`;
}

// How long ago, for people; the moment itself stays in the tooltip.
function ages(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    const seconds = Math.max(0, Math.round((Date.now() - at) / 1000));
    const [value, unit] = seconds < 120 ? [seconds, "s"] : seconds < 7200 ? [Math.floor(seconds / 60), "min"]
      : seconds < 172800 ? [Math.floor(seconds / 3600), "h"] : [Math.floor(seconds / 86400), "d"];
    time.textContent = `${value} ${unit} ago`;
    time.title = time.dateTime;
  }
}

const asking = new Map();

async function ask(part) {
  // One question at a time; what changes meanwhile is asked for once more.
  if (asking.has(part)) { asking.set(part, true); return; }
  asking.set(part, false);
  try {
    const answer = await fetch(part.dataset.part, { headers: { "x-requested-with": "mooring" }, redirect: "error" });
    if (answer.status === 401) { location.assign("/admin/login"); return; }
    if (answer.ok) {
      const focused = document.activeElement && part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      part.innerHTML = await answer.text();
      ages(part);
      if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    }
  } catch {
    say("offline", "bad");
  } finally {
    const again = asking.get(part);
    asking.delete(part);
    if (again) ask(part);
  }
}

function means(part, names) {
  const object = part.dataset.object;
  return !object || names.length === 0 || names.includes(object);
}

if (parts.length > 0) {
  const source = new EventSource("/admin/live");
  source.onopen = () => say("live", "good");
  source.onerror = () => say("offline", "bad");
  source.addEventListener("changed", (event) => {
    const names = JSON.parse(event.data);
    parts.filter((part) => !part.dataset.every && means(part, names)).forEach(ask);
  });
  addEventListener("pagehide", () => source.close());
} else {
  say("", "");
}
// What changes all the time is asked for every so often, while somebody sees it.
for (const part of parts.filter((part) => part.dataset.every)) {
  setInterval(() => { if (!document.hidden) ask(part); }, Number(part.dataset.every) * 1000);
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) parts.filter((part) => part.dataset.every).forEach(ask);
});
// What takes a while says so.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.textContent = form.dataset.busy;
    form.setAttribute("aria-busy", "true");
    setTimeout(() => { button.disabled = true; });
  });
}
ages(document);
setInterval(() => ages(document), 10000);

// The conversation: the answer comes part by part, as the server has made it, and is put where the page would have it.
const chat = document.getElementById("chat");

function paragraph(text, name) {
  const line = document.createElement("p");
  line.className = name;
  line.textContent = text;
  return line;
}

// One event of a stream: its name, and its data as JSON.
function heard(text) {
  const field = (name) => text.split("\n").filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim()).join("\n");
  return { name: field("event"), data: field("data") };
}

async function listen(answer, told) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events.map(heard)) if (event.data) told(event.name, JSON.parse(event.data));
  }
}

// A table for a spreadsheet (RFC 4180). What a spreadsheet would take for a formula gets a quote before it.
function csv(table) {
  const field = (cell) => {
    const text = /^[=+\-@\t\r]/.test(cell.textContent) && Number.isNaN(Number(cell.textContent)) ? `'${cell.textContent}` : cell.textContent;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [...table.rows].map((row) => [...row.cells].map(field).join(",")).join("\r\n");
}

// What needs a script is shown by one.
function tools(root) {
  // One row is read, not taken along.
  root.querySelectorAll("button.csv").forEach((button) => { button.hidden = button.parentElement.querySelectorAll("tbody tr").length < 2; });
}

function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A thread that has just begun stands beside the others, where the server puts it.
async function threads(thread) {
  const aside = document.querySelector("aside");
  if (!aside || aside.querySelector(`input[value="${CSS.escape(thread)}"]`)) return;
  try {
    const answer = await fetch(`/admin/chat?thread=${encodeURIComponent(thread)}`, { redirect: "error" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("aside");
    if (answer.ok && page) { aside.replaceChildren(...page.childNodes); ages(aside); }
  } catch {
    // The next page has it.
  }
}

async function talk(form, text) {
  const body = new URLSearchParams(new FormData(form));
  document.getElementById("hint")?.remove();
  // What was asked before can be answered by what is said now, or not at all.
  chat.querySelectorAll(".question").forEach((question) => question.remove());
  document.getElementById("last")?.removeAttribute("id");
  const item = document.createElement("li");
  item.id = "last";
  const theirs = document.createElement("div");
  theirs.className = "theirs";
  theirs.setAttribute("aria-busy", "true");
  // What was said stands here as it is kept, which the server knows: it may have had a secret in it.
  const mine = paragraph("…", "mine");
  item.append(mine, theirs);
  chat.append(item);
  let going = paragraph("…", "dim");
  theirs.append(going);
  try {
    const answer = await fetch("/admin/chat", { method: "POST", body, headers: { accept: "text/event-stream" } });
    if (answer.redirected) { location.assign(answer.url); return; }
    if (!answer.ok) {
      theirs.append(paragraph(await answer.text(), "refusal"));
      const input = document.getElementById("text");
      if (form.contains(input) && !input.value) input.value = text;
      return;
    }
    await listen(answer, (name, data) => {
      if (name === "said") { mine.textContent = data; return; }
      going?.remove();
      going = null;
      if (name === "done") {
        if (data.thread) {
          document.querySelectorAll('.say input[name="thread"]').forEach((input) => { input.value = data.thread; });
          history.replaceState(null, "", `/admin/chat?thread=${encodeURIComponent(data.thread)}`);
          threads(data.thread);
        }
        if (!data.kept) theirs.append(paragraph("This answer could not be kept.", "refusal"));
        return;
      }
      theirs.insertAdjacentHTML("beforeend", data);
      tools(theirs);
      if (name === "progress") going = theirs.lastElementChild;
      item.scrollIntoView({ block: "nearest" });
    });
  } catch {
    theirs.append(paragraph("The answer broke off; load the page again to see what is kept of it.", "refusal"));
  } finally {
    going?.remove();
    theirs.removeAttribute("aria-busy");
    document.getElementById("text")?.focus();
  }
}

if (chat && document.getElementById("text")) {
  let talking = false;
  const stop = document.getElementById("stop");
  tools(chat);
  chat.addEventListener("click", (event) => {
    const button = event.target.closest("button.csv");
    if (button) download(csv(button.parentElement.querySelector("table")), "rows.csv");
  });
  stop.addEventListener("click", () => {
    const token = stop.form.elements.namedItem("token").value;
    fetch("/admin/chat/stop", { method: "POST", body: new URLSearchParams({ token }) });
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.getAttribute("action") !== "/admin/chat") return;
    event.preventDefault();
    const input = form.elements.namedItem("text");
    const text = input.value.trim();
    // One thing at a time: an answer may ask something.
    if (talking || !text) return;
    talking = true;
    stop.hidden = false;
    const said = talk(form, text);
    if (input.id === "text") input.value = "";
    await said;
    talking = false;
    stop.hidden = true;
  });
}
