/** What an edit changed, word by word. */
import { h } from "./dom.js";

const MOST_CELLS = 4_000_000;

/**
 * @param {string} before
 * @param {string} after
 * @returns {["same" | "removed" | "added", string][]}
 */
export function diff(before, after) {
  const a = before.match(/\s+|[^\s]+/gu) ?? [], b = after.match(/\s+|[^\s]+/gu) ?? [];
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  /** @type {["same" | "removed" | "added", string][]} */
  const parts = [["same", a.slice(0, start).join("")]];
  parts.push(...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)));
  parts.push(["same", end ? a.slice(-end).join("") : ""]);
  return joined(parts);
}

/** By the longest common subsequence. @param {string[]} a @param {string[]} b @returns {["same" | "removed" | "added", string][]} */
function middle(a, b) {
  if (a.length * b.length > MOST_CELLS) return [["removed", a.join("")], ["added", b.join("")]];
  const width = b.length + 1, lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) {
    lengths[i * width + j] = a[i] === b[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
  }
  /** @type {["same" | "removed" | "added", string][]} */
  const parts = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) parts.push(["same", a[i++]]), j++;
    else if (j === b.length || i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) parts.push(["removed", a[i++]]);
    else parts.push(["added", b[j++]]);
  }
  return parts;
}

/** @param {["same" | "removed" | "added", string][]} parts */
function joined(parts) {
  /** @type {["same" | "removed" | "added", string][]} */
  const found = [];
  for (const [kind, text] of parts) {
    if (!text) continue;
    const last = found[found.length - 1];
    if (last?.[0] === kind) last[1] += text;
    else found.push([kind, text]);
  }
  return found;
}

/** @param {string} before @param {string} after */
export function shownDiff(before, after) {
  const tags = { same: "span", removed: "del", added: "ins" };
  return h("p", { class: "diff", dir: "auto" }, ...diff(before, after).map(([kind, text]) => h(tags[kind], {}, text)));
}
