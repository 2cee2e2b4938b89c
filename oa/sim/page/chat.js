// The phone: the chat of one follower, the input line and the menu.

import { byID, el, t, time } from "./dom.js";
import { call, followerPath } from "./control.js";

let account, openid; // whose chat is shown
let shown = 0; // the last entry

const path = () => followerPath(account, openid);

// toast says something for a moment.
let fading;
export function toast(text) {
  const box = byID("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => (box.hidden = true), 5000);
}

// guarded carries out what a person wants and says what is wrong with it.
export const guarded = (action) => async (...values) => {
  try {
    await action(...values);
  } catch (e) {
    toast(e.message);
  }
};

const act = guarded(async (what) => {
  if (!openid) throw new Error(t("先选一个粉丝", "choose a follower first"));
  const answer = await call("POST", path() + "/acts", what);
  if (answer.opens) toast(t("打开网页 ", "opens ") + answer.opens);
  if (answer.reason) toast(answer.reason.zh + "（" + answer.reason.en + "）");
  closeMore();
});

// openChat shows the chat of a follower.
export async function openChat(of, who) {
  [account, openid, shown] = [of, who, 0];
  const list = byID("entries");
  list.replaceChildren();
  list.dataset.empty = openid ? t("说点什么，或点 ＋ 选别的消息", "say something, or choose another message by ＋") : "";
  setTyping(false);
  byID("menu").hidden = true;
  byID("menu").dataset.signature = "";
  byID("credit").textContent = "";
  await catchUp();
  list.scrollTop = list.scrollHeight;
}

// catchUp shows what is new of the chat, the menu, and what the account may push.
export async function catchUp() {
  if (!openid) return;
  const of = path();
  const [chat, menu] = await Promise.all([call("GET", of + "/chat?after=" + shown), call("GET", of + "/menu")]);
  if (!openid || of !== path()) return; // another one was chosen meanwhile
  chat.entries.forEach(addEntry);
  setTyping(chat.typing);
  drawCredit(chat.credit);
  drawMenu(menu.buttons);
}

function drawCredit(credit) {
  const until = new Date(credit.until).toLocaleString(t("zh-CN", "en-GB"), { dateStyle: "short", timeStyle: "short" });
  byID("credit").textContent = credit.left > 0
    ? t(`还能推送 ${credit.left} 条客服消息，到 ${until}`, `${credit.left} customer-service messages can be pushed, until ${until}`)
    : t("现在不能推送客服消息；粉丝说话后 48 小时内可推送 5 条", "no customer-service message can be pushed now; a message allows 5 within 48 hours");
}

// entryEvent is an entry that has just come.
export function entryEvent(event) {
  if (event.app_id === account && event.openid === openid) {
    addEntry(event.entry);
    setTyping(false);
  }
}

export function typingEvent(event) {
  if (event.app_id === account && event.openid === openid) setTyping(Boolean(event.typing));
}

function setTyping(on) {
  byID("chat-state").textContent = on ? t("对方正在输入…", "typing…") : "";
}

function addEntry(entry) {
  if (entry.seq <= shown) return;
  shown = entry.seq;
  const list = byID("entries");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(entryElement(entry));
  if (atEnd || entry.from === "follower") list.scrollTop = list.scrollHeight;
}

function entryElement(entry) {
  if (entry.from === "wechat") {
    return el("li", { class: "notice" }, el("span", {}, textOf(entry.bubble)), how(entry));
  }
  const side = entry.from === "follower" ? "mine" : "theirs";
  return el("li", { class: side },
    el("div", { class: "face", "aria-hidden": "true" }, side === "mine" ? t("我", "me") : [...byID("chat-name").textContent][0] ?? "号"),
    el("div", { class: "said" }, bubbleElement(entry), how(entry)));
}

const vias = {
  push: ["客服消息", "customer-service message"],
  template: ["模板消息", "template message"],
  subscribe: ["订阅通知", "subscription notice"],
  mass: ["群发", "mass message"],
  menu: ["菜单素材", "material of the menu"],
  agent: ["人工客服", "human agent"],
};

// how says how an entry came into the chat, where that is not plain.
function how(entry) {
  const parts = [time(entry.at)];
  if (vias[entry.via]) parts.push(t(...vias[entry.via]));
  if (entry.delivery > 1) parts.push(t(`第 ${entry.delivery} 次投递`, `delivery ${entry.delivery}`));
  if (entry.receiver) parts.push(t("第三方平台 ", "third party ") + entry.receiver);
  if (entry.agent) parts.push(entry.agent);
  return el("small", {}, parts.join(" · "));
}

const textOf = (bubble) => (bubble.text ?? []).map((span) => span.text).join("");

// bubbleElement is what a message looks like.
function bubbleElement(entry) {
  const b = entry.bubble;
  if (b.articles) return el("div", { class: "cardlike news" }, ...b.articles.map(articleElement));
  if (entry.from === "follower" && b.kind !== "text") {
    return el("div", { class: "bubble own" }, el("span", {}, textOf(b)));
  }
  switch (b.kind) {
    case "image":
      return cardElement("🖼", t("图片", "picture"), [b.description, b.media_id, ...(b.media_ids ?? [])]);
    case "voice":
      return cardElement("🔊", t("语音", "voice"), [b.media_id]);
    case "video":
      return cardElement("🎬", b.title || t("视频", "video"), [b.description, b.media_id]);
    case "music":
      return cardElement("🎵", b.title || t("音乐", "music"), [b.description, b.url]);
    case "miniprogrampage":
      return cardElement("▦", b.title || t("小程序", "mini program"), [b.app_id, b.page_path]);
    case "wxcard":
      return cardElement("🎫", t("卡券", "card"), [b.card_id]);
    case "transfer_customer_service":
      return el("div", { class: "bubble system" }, t("已转人工客服 ", "handed to a human agent ") + (b.agent ?? ""));
    case "transfer_biz_ai_ivr":
      return el("div", { class: "bubble system" }, t("已转官方 AI 回复", "handed to the platform's AI"));
    case "template":
    case "subscription":
      return el("div", { class: "cardlike template" }, el("b", {}, b.title ?? ""),
        el("dl", {}, ...(b.rows ?? []).map((row) => el("div", {}, row.name ? el("dt", {}, row.name) : "", el("dd", {}, row.value)))),
        b.url || b.app_id ? el("div", { class: "more-of" }, b.app_id ? t("打开小程序 ", "opens mini program ") + b.app_id : b.url) : "");
  }
  if (!b.text) return cardElement("✉", b.kind, []);
  const bubble = el("div", { class: "bubble" });
  let link = 0;
  for (const span of b.text) {
    if (!span.url && !span.say) {
      bubble.append(span.text);
      continue;
    }
    const n = ++link;
    bubble.append(el("button", { type: "button", class: "link", title: span.say ? t("发送：", "sends: ") + span.say : span.url,
      click: () => act(span.url ? { type: "tap", entry: entry.seq, link: n } : { type: "tap", say: span.say, menu_id: span.menu_id }) }, span.text));
  }
  if (b.ai) bubble.append(el("small", {}, t("内容由第三方 AI 生成", "made by a third party's AI")));
  return bubble;
}

function cardElement(icon, title, lines) {
  return el("div", { class: "cardlike" }, el("span", { class: "icon", "aria-hidden": "true" }, icon),
    el("div", {}, el("b", {}, title), ...lines.filter(Boolean).map((line) => el("div", { class: "dim" }, line))));
}

function articleElement(article, i) {
  return el("button", { type: "button", class: i === 0 ? "article first" : "article", title: article.url, click: () => toast(t("打开网页 ", "opens ") + article.url) },
    el("span", { class: "cover", "aria-hidden": "true" }, "图"),
    el("span", { class: "title" }, article.title),
    i === 0 && article.description ? el("span", { class: "dim" }, article.description) : "");
}

// drawMenu draws the menu at the bottom. A button of the first level may open
// those below it.
function drawMenu(buttons) {
  const menu = byID("menu");
  const signature = JSON.stringify(buttons);
  if (menu.dataset.signature === signature) return;
  menu.dataset.signature = signature;
  menu.hidden = buttons.length === 0;
  menu.replaceChildren(...buttons.map((b) => {
    const below = b.sub_button ?? [];
    if (below.length === 0) {
      return el("button", { type: "button", title: describe(b), click: () => act({ type: "press", button: [b.name] }) }, b.name);
    }
    return el("details", { name: "menu" }, el("summary", {}, "☰ " + b.name),
      el("div", { class: "below" }, ...below.map((sub) => el("button", { type: "button", title: describe(sub),
        click: (e) => {
          e.target.closest("details").open = false;
          act({ type: "press", button: [b.name, sub.name] });
        } }, sub.name))));
  }));
}

const describe = (button) => [button.type, button.key, button.url].filter(Boolean).join(" ");

// kinds are the messages other than text, each with what it asks for.
const kinds = [
  { icon: "➕", zh: "关注", en: "follow", act: () => ({ type: "subscribe" }) },
  { icon: "➖", zh: "取消关注", en: "unfollow", act: () => ({ type: "unsubscribe" }) },
  { icon: "🖼", zh: "图片", en: "picture", act: () => ({ type: "image" }) },
  { icon: "🎤", zh: "语音", en: "voice", ask: ["识别结果", "recognised as"], act: (s) => ({ type: "voice", recognition: s }) },
  { icon: "🎬", zh: "视频", en: "video", act: () => ({ type: "video" }) },
  { icon: "📍", zh: "位置", en: "place", act: () => ({ type: "location", latitude: 23.106574, longitude: 113.324553, label: "广州塔" }) },
  { icon: "🔗", zh: "链接", en: "link", ask: ["网址", "address"], value: "https://example.com/", act: (s) => ({ type: "link", title: "一篇文章", description: "说明", url: s }) },
  { icon: "📄", zh: "文件", en: "file", act: () => ({ type: "file", name: "文件.pdf" }) },
  { icon: "😀", zh: "表情", en: "sticker", act: () => ({ type: "sticker" }) },
  { icon: "📡", zh: "上报位置", en: "report place", act: () => ({ type: "report_location", latitude: 23.106574, longitude: 113.324553, precision: 65 }) },
  { icon: "☰", zh: "点菜单", en: "menu click", ask: ["按钮的 key", "the button's key"], act: (s) => ({ type: "click", key: s }) },
  { icon: "▣", zh: "扫码", en: "scan", ask: ["场景值", "scene"], act: (s) => ({ type: "scan", scene: s }) },
];

const closeMore = () => showMore(false);

function showMore(open) {
  byID("more").hidden = !open;
  byID("open-more").setAttribute("aria-expanded", String(open));
  if (!open) return;
  byID("more").replaceChildren(...kinds.map((kind) => el("button", { type: "button", click: () => (kind.ask ? askFor(kind) : act(kind.act())) },
    el("span", { class: "icon", "aria-hidden": "true" }, kind.icon), t(kind.zh, kind.en))));
}

// askFor asks for what a message needs.
function askFor(kind) {
  const input = el("input", { value: kind.value ?? "", placeholder: t(...kind.ask), "aria-label": t(...kind.ask) });
  byID("more").replaceChildren(el("form", { class: "ask",
    submit: (e) => {
      e.preventDefault();
      act(kind.act(input.value));
    } }, input, el("button", { type: "submit", class: "send" }, t("发送", "Send")),
  el("button", { type: "button", class: "plain", click: () => showMore(true) }, t("返回", "Back"))));
  input.focus();
}

// startChat wires the input line.
export function startChat() {
  byID("say").addEventListener("submit", (e) => {
    e.preventDefault();
    const input = byID("text");
    if (input.value === "") return;
    act({ type: "say", text: input.value });
    input.value = "";
  });
  byID("open-more").addEventListener("click", () => showMore(byID("more").hidden));
}

// redraw shows everything in another language.
export async function redrawChat() {
  closeMore();
  await openChat(account, openid);
}
