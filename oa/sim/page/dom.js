// Elements and languages. Nothing from a follower or a server ever becomes
// markup: text is set as text.

let english = localStorage.getItem("language") === "en";

// t is a text in the language that is shown.
export const t = (chinese, inEnglish) => (english ? inEnglish : chinese);

// el makes an element. Properties that are functions listen to events.
export function el(name, properties = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") e.addEventListener(key, value);
    else if (key === "class") e.className = value;
    else if (value === true) e.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null && c !== ""));
  return e;
}

export const byID = (id) => document.getElementById(id);

// time is an hour, minute and second of a timestamp.
export const time = (at) => new Date(at).toLocaleTimeString("zh-CN", { hour12: false });

// translate shows everything that is not made by scripts in the language.
function translate() {
  document.documentElement.lang = english ? "en" : "zh-CN";
  for (const e of document.querySelectorAll("[data-en]")) {
    e.dataset.zh ??= e.textContent;
    e.textContent = english ? e.dataset.en : e.dataset.zh;
  }
  for (const e of document.querySelectorAll("[data-en-placeholder]")) {
    e.dataset.zhPlaceholder ??= e.placeholder;
    e.placeholder = english ? e.dataset.enPlaceholder : e.dataset.zhPlaceholder;
  }
  const button = byID("language");
  button.textContent = english ? "中文" : "English";
  button.lang = english ? "zh-CN" : "en";
}

// startLanguages sets the language up; again is called when it changes.
export function startLanguages(again) {
  translate();
  byID("language").addEventListener("click", () => {
    english = !english;
    localStorage.setItem("language", english ? "en" : "zh");
    translate();
    again();
  });
}
