// Deliveries and calls of the API as they happen.

import { byID, el, t, time } from "./dom.js";

const most = 200; // lines that are kept
let deliveries = [];
let calls = [];

export function clearLog() {
  deliveries = [];
  calls = [];
  drawLog();
}

export function deliveryEvent(event) {
  keep(deliveries, event);
  byID("deliveries").querySelector("ol")?.prepend(deliveryElement(event));
  count();
}

export function callEvent(event) {
  keep(calls, event);
  byID("calls").querySelector("ol")?.prepend(callElement(event));
  count();
}

export function pauseEvent(event) {
  keep(deliveries, event);
  byID("deliveries").querySelector("ol")?.prepend(deliveryElement(event));
}

function keep(list, event) {
  list.push(event);
  if (list.length > most) list.shift();
}

function count() {
  for (const [panel, list] of [["deliveries", deliveries], ["calls", calls]]) {
    const lines = byID(panel).querySelector("ol");
    while (lines && lines.children.length > most) lines.lastChild.remove();
    byID(panel).querySelector(".empty")?.toggleAttribute("hidden", list.length > 0);
  }
}

export function drawLog() {
  byID("deliveries").replaceChildren(
    el("p", { class: "empty" }, t("还没有投递。粉丝说句话试试。", "No deliveries yet: let a follower say something.")),
    el("ol", { class: "lines" }, ...deliveries.map(deliveryElement).reverse()));
  byID("calls").replaceChildren(
    el("p", { class: "empty" }, t("还没有接口调用。把 SDK 的接口地址换成 ", "No calls yet: give your SDK the base address "), el("code", {}, location.origin)),
    el("ol", { class: "lines" }, ...calls.map(callElement).reverse()));
  count();
}

const outcomes = {
  answered: ["good", "已回复", "answered"],
  acknowledged: ["good", "不回复", "no reply"],
  refused: ["bad", "拒绝", "refused"],
  repeated: ["late", "会重试", "repeats"],
};

function deliveryElement(event) {
  if (event.type === "pause") {
    return el("li", { class: "line bad" }, el("div", { class: "head" }, el("span", { class: "badge" }, "MarkFail"), time(event.at)),
      el("p", {}, t(`失败太多，微信暂停推送到 ${time(event.until)}`, `too many failures: WeChat pushes nothing until ${time(event.until)}`)));
  }
  const d = event.delivery;
  const [tone, zh, en] = outcomes[d.verdict.outcome] ?? ["", d.verdict.outcome, d.verdict.outcome];
  const remarks = [d.verdict.problem, ...(d.verdict.notes ?? [])].filter(Boolean);
  return el("li", { class: "line " + tone },
    el("div", { class: "head" }, el("span", { class: "badge" }, t(zh, en)), el("b", {}, d.kind),
      el("span", {}, t(`第 ${d.number} 次`, `#${d.number}`)), el("span", {}, d.status ? "HTTP " + d.status : t("没有回复", "no response")),
      el("span", {}, d.elapsed), d.receiver ? el("span", { class: "tag" }, d.receiver) : "", el("time", {}, time(event.at))),
    ...remarks.flatMap((r) => [el("p", {}, r.zh), el("p", { class: "dim", lang: "en" }, r.en)]));
}

function callElement(event) {
  const c = event.call;
  return el("li", { class: c.errcode ? "line bad" : "line good" },
    el("div", { class: "head" }, el("span", { class: "badge" }, c.errcode ? String(c.errcode) : "ok"), el("b", {}, c.method + " " + c.path),
      el("span", {}, c.elapsed), el("time", {}, time(event.at))),
    c.errcode ? el("p", { class: "dim" }, c.errmsg ?? "") : "");
}

// startTabs wires the tabs.
export function startTabs() {
  const tabs = [...document.querySelectorAll("[data-panel]")];
  const show = (tab) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      byID(other.dataset.panel).hidden = other !== tab;
    }
  };
  for (const tab of tabs) tab.addEventListener("click", () => show(tab));
  show(tabs[0]);
}
