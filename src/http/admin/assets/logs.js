// Follows the log of a container: lines are put below those that are there, as text, until somebody pauses.
"use strict";

{
  // More lines than anybody scrolls through; older ones go.
  const KEPT = 2000;
  const button = document.querySelector("[data-follow]");
  const log = document.querySelector("[data-log]");
  const said = document.getElementById("log-said");
  let source = null;

  const shown = (line) => {
    const at = document.createElement("span");
    at.className = "at";
    at.textContent = line.at.slice(0, 19).replace("T", " ");
    return [at, document.createTextNode(` ${line.text}\n`)];
  };

  const pause = () => {
    source?.close();
    source = null;
    button.textContent = "Follow";
    button.setAttribute("aria-pressed", "false");
    said.textContent = "Paused.";
  };

  const follow = () => {
    const query = new URLSearchParams({ log: button.dataset.contains });
    if (log.dataset.last) query.set("since", log.dataset.last);
    source = new EventSource(`${button.dataset.follow}?${query}`);
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    said.textContent = "Following: new lines come as they are written.";
    source.addEventListener("lines", (event) => {
      const lines = JSON.parse(event.data);
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      for (const line of lines) {
        log.append(...shown(line));
        if (line.at) log.dataset.last = line.at;
      }
      while (log.childNodes.length > 2 * KEPT) log.firstChild.remove();
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    });
    source.addEventListener("trouble", (event) => { pause(); said.textContent = JSON.parse(event.data); });
    // The address says from when on: it has to be made anew, or lines would come twice.
    source.onerror = () => { if (source) { source.close(); source = null; setTimeout(() => { if (button.getAttribute("aria-pressed") === "true" && !source) follow(); }, 2000); } };
  };

  if (button && log) {
    button.hidden = false;
    button.addEventListener("click", () => (source ? pause() : follow()));
    log.scrollTop = log.scrollHeight;
    addEventListener("pagehide", () => source?.close());
  }
}
