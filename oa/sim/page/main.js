// The page: what is where, and what happens live.

import { byID, startLanguages, t } from "./dom.js";
import { stream } from "./control.js";
import { entryEvent, guarded, redrawChat, startChat, typingEvent } from "./chat.js";
import { redrawForm, refresh, startPeople } from "./people.js";
import { callEvent, clearLog, deliveryEvent, drawLog, pauseEvent, startTabs } from "./log.js";
import { drawTrouble } from "./trouble.js";

let alive;
function showLive(on) {
  alive = on;
  byID("live").textContent = on ? t("● 实时", "● live") : t("○ 连不上模拟平台", "○ the simulated platform does not answer");
  byID("live").classList.toggle("off", !on);
}

const again = guarded(async () => {
  await refresh();
  await drawTrouble();
});

startLanguages(async () => {
  showLive(alive);
  redrawForm();
  drawLog();
  await again();
  await redrawChat();
});

// On a narrow screen one part is shown at a time.
const views = [...document.querySelectorAll("[data-view]")];
function showView(name) {
  document.body.dataset.view = name;
  for (const b of views) b.setAttribute("aria-pressed", String(b.dataset.view === name));
}
for (const b of views) b.addEventListener("click", () => showView(b.dataset.view));
showView("chat");

byID("base").textContent = location.origin;
startTabs();
startChat();
startPeople();
drawLog();

stream(() => {
  clearLog();
  guarded(async () => {
    await again();
    await redrawChat();
  })();
}, (event) => {
  switch (event.type) {
    case "entry": return entryEvent(event);
    case "typing": return typingEvent(event);
    case "delivery": return deliveryEvent(event);
    case "call": return callEvent(event);
    case "pause": return pauseEvent(event);
  }
}, showLive);

// Others change accounts, followers and menus as well.
setInterval(() => {
  if (alive && document.visibilityState === "visible") again();
}, 2000);
