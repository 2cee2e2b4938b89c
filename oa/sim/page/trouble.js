// Switches for what goes wrong.

import { byID, el, t } from "./dom.js";
import { call } from "./control.js";
import { guarded } from "./chat.js";

// Each switch reads from what is in force whether it is on, and changes it.
const switches = [
  { zh: "延迟 2 秒", en: "2 s late", hint: ["投递在路上慢 2 秒", "deliveries are slow on their way"],
    is: (s) => s.trouble.latency === "2s", set: (on) => call("PATCH", "/trouble", { latency: on ? "2s" : "0s" }) },
  { zh: "断线", en: "cut", hint: ["服务器处理了，微信没收到回复，会重试", "the server has done its work, but WeChat gets no response and repeats"],
    is: (s) => s.trouble.cut > 0, set: (on) => call("PATCH", "/trouble", { cut: on ? 1 : 0 }) },
  { zh: "连不上", en: "unreachable", hint: ["投递找不到服务器", "deliveries find no server"],
    is: (s) => s.trouble.unreachable > 0, set: (on) => call("PATCH", "/trouble", { unreachable: on ? 1 : 0 }) },
  { zh: "重复投递", en: "duplicates", hint: ["每次投递同时来两份", "every delivery comes twice at once"],
    is: (s) => s.trouble.duplicate > 0, set: (on) => call("PATCH", "/trouble", { duplicate: on ? 1 : 0 }) },
  { zh: "乱序", en: "out of order", hint: ["消息最多晚 2 秒，互相超越", "messages overtake each other, by up to 2 s"],
    is: (s) => s.trouble.reorder === "2s", set: (on) => call("PATCH", "/trouble", { reorder: on ? "2s" : "0s" }) },
  { zh: "接口 45009", en: "API 45009", hint: ["下一次客服消息超过日限额", "the next customer-service message is over the day's quota"],
    is: (s) => (s.trouble.failures ?? []).some((f) => f.code === 45009),
    set: (on) => (on ? call("POST", "/failures", { endpoint: "custom_message_send", code: 45009 }) : call("PATCH", "/trouble", { failures: [] })) },
  { zh: "接口 -1", en: "API -1", hint: ["所有接口都说系统繁忙", "all of the API is busy"],
    is: (s) => s.trouble.api_busy > 0, set: (on) => call("PATCH", "/trouble", { api_busy: on ? 1 : 0 }) },
  { zh: "模型慢 8 秒", en: "model 8 s", hint: ["模型 8 秒答完", "the model takes 8 s to answer"],
    is: (s) => s.model.delay === "8s", set: (on) => call("PATCH", "/model", { delay: on ? "8s" : "" }) },
  { zh: "模型 429", en: "model 429", hint: ["模型的下 3 次请求被限流", "the next 3 requests to the model are refused"],
    is: (s) => s.model.fail_next > 0, set: (on) => call("PATCH", "/model", on ? { fail_next: 3, fail_status: 429 } : { fail_next: 0 }) },
];

const older = ["令牌、素材、48 小时窗口都变旧", "tokens, media and windows get older"];

let last = "";
export async function drawTrouble() {
  const state = { trouble: await call("GET", "/trouble"), model: await call("GET", "/model") };
  const signature = JSON.stringify([state, document.documentElement.lang]);
  if (signature === last) return;
  last = signature;
  byID("switches").replaceChildren(
    ...switches.map((s) => {
      const on = s.is(state);
      return el("button", { type: "button", class: "switch", role: "switch", "aria-checked": String(on), title: t(...s.hint),
        click: guarded(async () => {
          await s.set(!on);
          await drawTrouble();
        }) }, t(s.zh, s.en), el("small", {}, t(...s.hint)));
    }),
    el("button", { type: "button", class: "switch hour", title: t(...older),
      click: guarded(() => call("POST", "/clock", { advance: "1h" })) }, t("时间 +1 小时", "clock +1 h"), el("small", {}, t(...older))));
}
