/** Keys, and the list of them. */
import { h, isTyping } from "./dom.js";

/** @type {{name: string, keys: string[], says: string, work: () => void, where: string}[]} */
let known = [];

/**
 * @param {string} where the view that they belong to; "everywhere" for all
 * @param {[string, string, () => void][]} keys key or keys between spaces, what it does, and how
 */
export function setKeys(where, keys) {
  known = known.filter((each) => each.where !== where);
  known.push(...keys.map(([names, says, work]) => ({ name: names, keys: names.split(" ").map(spelled), says, work, where })));
}

/** @param {string[]} gone views whose keys no longer hold */
export function dropKeys(...gone) {
  known = known.filter((each) => !gone.includes(each.where));
}

/** @param {string} name */
function spelled(name) {
  return name === "Space" ? " " : name;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const target = event.target;
  const isButton = target instanceof HTMLElement && target.matches("button, a, summary, [role=slider], input");
  if (isButton && [" ", "Enter"].includes(event.key)) return;
  if (target instanceof HTMLElement && target.matches("[role=slider]") && event.key.startsWith("Arrow")) return;
  const found = known.findLast((each) => each.keys.includes(event.key));
  if (!found) return;
  event.preventDefault();
  found.work();
});

export function showKeys() {
  /** @type {Map<string, typeof known>} */
  const groups = new Map();
  for (const each of known) groups.set(each.where, [...(groups.get(each.where) ?? []), each]);
  const parts = [...groups].map(([where, keys]) => h("section", {}, h("h3", {}, where[0].toUpperCase() + where.slice(1)), h("dl", {}, ...keys.flatMap((each) => [
    h("dt", {}, ...each.name.split(" ").map((key) => h("kbd", {}, arrows[key] ?? key))), h("dd", {}, each.says)]))));
  const dialog = h("dialog", { class: "keys", "aria-label": "Keys", onclose: () => dialog.remove() },
    h("h2", {}, "Keys"), h("p", { class: "hint" }, "None of them acts while you type. In a text, Ctrl+Enter saves and Esc leaves it."), h("div", { class: "groups" }, ...parts),
    h("form", { method: "dialog" }, h("button", {}, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

/** @type {Record<string, string>} */
const arrows = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
