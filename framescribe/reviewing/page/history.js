/** What was decided on a caption, by whom and when; and where the caption comes from. */
import { shownDiff } from "./diff.js";
import { h, number } from "./dom.js";

const VERBS = /** @type {Record<string, string>} */ ({ accept: "accepted", reject: "rejected", edit: "edited", tag: "tagged", untag: "removed tags", undo: "undid" });

/** @type {Record<string, boolean>} what somebody opened or closed, which other clips keep */
const wanted = {};

/** @param {string} name @param {boolean} isOpen where nobody said @param {string} summary @param {...(Node | null)} children */
function folded(name, isOpen, summary, ...children) {
  const details = h("details", { class: name, open: wanted[name] ?? isOpen }, h("summary", { title: `Show or hide: ${name}`, onclick: () => (wanted[name] = !details.open) }, summary), ...children);
  return details;
}

/** @param {string} iso */
function when(iso) {
  const time = new Date(iso);
  return h("time", { dateTime: iso, title: iso }, isNaN(time.getTime()) ? iso : time.toLocaleString());
}

/** The ids of entries that were undone. @param {any[]} entries oldest first */
function undoneOf(entries) {
  const undone = new Set();
  for (const entry of [...entries].reverse()) if (entry.action === "undo" && !undone.has(entry.entry_id)) undone.add(entry.undoes);
  return undone;
}

/**
 * Other reviewers whose last verdict is not the one that counts.
 * @param {any[]} entries oldest first
 * @param {any} row
 * @returns {[string, string][]} name and verdict
 */
export function dissentOf(entries, row) {
  const undone = undoneOf(entries), verdicts = new Map();
  for (const entry of entries) if (["accept", "reject"].includes(entry.action) && !undone.has(entry.entry_id)) verdicts.set(entry.reviewer, entry.action);
  return [...verdicts].filter(([, action]) => row.decision && action !== row.decision);
}

/** @param {any} row @param {any[]} entries oldest first @param {(id: string) => void} undo */
export function historyOf(row, entries, undo) {
  const undone = undoneOf(entries);
  let text = row.caption ?? "";
  const lines = entries.map((entry) => {
    const isUndone = undone.has(entry.entry_id);
    const change = entry.action === "edit" ? shownDiff(text, entry.text ?? "") : null;
    if (entry.action === "edit" && !isUndone) text = entry.text ?? "";
    const target = entry.action === "undo" ? entries.find((each) => each.entry_id === entry.undoes) : null;
    const said = entry.action === "undo" ? `undid “${VERBS[target?.action] ?? "a decision"}”` : VERBS[entry.action];
    return h("li", { class: isUndone ? "undone" : "" }, h("p", {}, h("b", {}, entry.reviewer), ` ${said}`, entry.tags?.length ? ` ${entry.tags.join(", ")}` : "",
      entry.reason ? `: ${entry.reason}` : "", " ", when(entry.decided_at), isUndone ? h("span", { class: "tag" }, "undone") : h("button", { class: "quiet", onclick: () => undo(entry.entry_id) }, "Undo")), change);
  });
  return folded("history", entries.length > 0, `History (${entries.length})`,
    h("ol", { reversed: true }, ...lines.reverse()),
    h("p", { class: "hint" }, entries.length ? "The model's caption:" : "Nothing was decided yet."), entries.length ? h("p", { class: "diff", dir: "auto" }, row.caption ?? "") : null);
}

const MADE = ["prompt", "model", "model_revision", "precision", "strategy", "num_frames", "sample_fps", "template", "temperature", "top_p", "repetition_penalty", "seed", "max_new_tokens", "finish_reason",
  "repairs", "decoder", "engine_version", "created_at", "output_tokens", "source_sha256"];
const OWN = new Set([...MADE, "clip_id", "prompt_index", "source_video", "start_s", "end_s", "duration_s", "width", "height", "fps", "codec", "missing_s", "caption", "caption_status", "flags", "error_stage",
  "error_message", "frame_indices", "frame_timestamps_s", "covered_s", "stop_loops", "prompt_tokens", "schema_version", "decision", "decision_reason", "edited_caption", "tags", "reviewer", "decided_at", "decision_is_stale", "caption_raw"]);

/** @param {[string, any][]} pairs */
function list(pairs) {
  return h("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", { dir: "auto" }, Array.isArray(value) ? value.join(", ") : typeof value === "number" ? number(value, 6) : String(value))]));
}

/** Scores that the folder has of the clip. @param {any} row */
export function scoresOf(row) {
  const pairs = Object.entries(row).filter(([name, value]) => !OWN.has(name) && typeof value === "number");
  return pairs.length ? folded("scores", true, `Scores (${pairs.length})`, list(pairs)) : null;
}

/** @param {any} row */
export function provenanceOf(row) {
  const pairs = /** @type {[string, any][]} */ (MADE.filter((name) => row[name] !== null && row[name] !== undefined && row[name].length !== 0).map((name) => [name, row[name]]));
  return folded("provenance", false, "How it was made", list(pairs));
}
