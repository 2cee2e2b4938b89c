// Accounts and followers, and which of them are shown.

import { byID, el, t } from "./dom.js";
import { accountPath, call, followerPath } from "./control.js";
import { catchUp, guarded, openChat, toast } from "./chat.js";

let accounts = [];
let followers = [];
const chosen = { account: undefined, openid: undefined };

const kinds = {
  certified_service: ["已认证服务号", "certified service account"],
  service: ["未认证服务号", "service account"],
  certified_subscription: ["已认证订阅号", "certified subscription account"],
  subscription: ["订阅号（个人）", "subscription account (personal)"],
  test: ["接口测试号", "test account"],
};

const modes = {
  plain: ["明文模式", "plain"],
  compat: ["兼容模式", "compat"],
  secure: ["安全模式", "secure"],
};

// chosenAccount is the one that is shown.
export const chosenAccount = () => accounts.find((a) => a.app_id === chosen.account);

const colours = ["#07c160", "#576b95", "#fa9d3b", "#10aeff", "#c87d2f", "#6467f0"];
const colourOf = (text) => colours[[...text].reduce((sum, c) => sum + c.codePointAt(0), 0) % colours.length];

// refresh reads the lists again, and draws what has changed.
let drawn = "";
export async function refresh() {
  accounts = (await call("GET", "/accounts")).accounts;
  if (!chosenAccount()) {
    chosen.account = accounts[0]?.app_id;
    chosen.openid = undefined;
  }
  followers = chosen.account ? (await call("GET", accountPath(chosen.account) + "/followers")).followers : [];
  let open = false;
  if (!followers.some((f) => f.openid === chosen.openid)) {
    chosen.openid = followers[0]?.openid;
    open = true;
  }
  const state = JSON.stringify([accounts, followers, chosen, document.documentElement.lang]);
  if (state !== drawn) {
    drawn = state;
    draw();
  }
  if (open) await openChat(chosen.account, chosen.openid);
  else await catchUp();
}

async function choose(account, openid) {
  chosen.account = account;
  chosen.openid = openid;
  await refresh();
  await openChat(chosen.account, chosen.openid);
}

function draw() {
  byID("accounts").replaceChildren(...accounts.map((a) => el("li", {}, el("button", {
    type: "button", class: "person", "aria-pressed": String(a.app_id === chosen.account), click: guarded(() => choose(a.app_id)),
  }, face(a.name), el("span", { class: "who" }, el("b", {}, a.name), el("small", {}, t(...(kinds[a.kind] ?? [a.kind, a.kind]))), el("small", { class: "id" }, a.app_id))))));
  byID("followers").replaceChildren(...followers.map((f) => el("li", {}, el("button", {
    type: "button", class: "person", "aria-pressed": String(f.openid === chosen.openid), click: guarded(() => choose(chosen.account, f.openid)),
  }, face(f.profile.nickname || f.openid.slice(-2)), el("span", { class: "who" }, el("b", {}, f.profile.nickname || t("粉丝 ", "") + f.openid.slice(-4)),
    el("small", { class: "id" }, f.openid)),
  el("span", { class: f.following ? "tag on" : "tag" }, f.following ? t("已关注", "follows") : t("未关注", "does not")))))); 
  const account = chosenAccount();
  byID("chat-name").textContent = account?.name ?? t("没有账号", "no account");
  byID("new-follower").hidden = !account;
  const settings = JSON.stringify([account, document.documentElement.lang]);
  if (settings !== shownSettings) drawSettings(account); // what somebody is typing there stays
  shownSettings = settings;
}

let shownSettings = "";

const face = (text) => {
  const box = el("span", { class: "face", "aria-hidden": "true" }, [...text][0] ?? "?");
  box.style.backgroundColor = colourOf(text);
  return box;
};

// drawSettings shows the 服务器配置 of the account, to be changed.
function drawSettings(account) {
  const panel = byID("settings");
  if (!account) {
    panel.replaceChildren();
    return;
  }
  const field = (label, name, value, more = {}) => el("label", {}, el("span", {}, label), el("input", { name, value: value ?? "", autocomplete: "off", ...more }));
  const select = (label, name, options, value) => el("label", {}, el("span", {}, label), withOptions(el("select", { name }), options, value));
  const form = el("form", { class: "form", submit: guarded(async (e) => {
    e.preventDefault();
    await call("PATCH", accountPath(account.app_id), values(form));
    toast(t("已保存", "saved"));
    await refresh();
  }) },
  field(t("名字", "Name"), "name", account.name),
  select(t("类型", "Kind"), "kind", kinds, account.kind),
  field(t("服务器 URL", "Server URL"), "url", account.url, { placeholder: "http://" }),
  field("Token", "token", account.token),
  field("EncodingAESKey", "aes_key", account.aes_key, { maxlength: 43 }),
  select(t("加解密方式", "Mode"), "mode", modes, account.mode),
  el("div", { class: "buttons" },
    el("button", { type: "submit", class: "main" }, t("保存", "Save")),
    el("button", { type: "button", click: guarded(async () => {
      const check = await call("POST", accountPath(account.app_id) + "/check", {});
      const problem = check.problem;
      result.className = check.ok ? "good" : "bad";
      result.textContent = check.ok ? t("验证通过，用时 ", "the address is verified, in ") + check.elapsed : problem.zh + "（" + problem.en + "）";
    }) }, t("验证地址", "Check the address")),
    el("button", { type: "button", class: "danger", click: guarded(async () => {
      if (!confirm(t("删除这个账号和它的聊天？", "Delete the account and its chats?"))) return;
      await call("DELETE", accountPath(account.app_id));
      await refresh();
    }) }, t("删除", "Delete"))));
  const result = el("p", { role: "status" });
  panel.replaceChildren(el("dl", { class: "facts" },
    el("dt", {}, "AppID"), el("dd", {}, account.app_id), el("dt", {}, "AppSecret"), el("dd", {}, account.app_secret),
    el("dt", {}, t("原始 ID", "original ID")), el("dd", {}, account.original_id)), form, result);
}

function withOptions(select, options, value) {
  select.replaceChildren(...Object.entries(options).map(([key, names]) => el("option", { value: key, selected: key === value }, t(...names))));
  return select;
}

const values = (form) => Object.fromEntries(new FormData(form));

export function startPeople() {
  const form = byID("account-form");
  redrawForm();
  form.addEventListener("submit", guarded(async (e) => {
    e.preventDefault();
    const wanted = Object.fromEntries(Object.entries(values(form)).filter(([, value]) => value !== ""));
    const made = await call("POST", "/accounts", wanted);
    const follower = await call("POST", accountPath(made.app_id) + "/followers", {});
    form.reset();
    byID("new-account").open = false;
    await choose(made.app_id, follower.openid);
  }));
  byID("new-follower").addEventListener("click", guarded(async () => {
    const made = await call("POST", accountPath(chosen.account) + "/followers", {});
    await choose(chosen.account, made.openid);
  }));
}

// redrawForm writes the choices of the form in the language.
export function redrawForm() {
  const form = byID("account-form");
  withOptions(form.elements.kind, kinds, "certified_service");
  withOptions(form.elements.mode, { "": ["自动", "as the key says"], ...modes }, "");
}
