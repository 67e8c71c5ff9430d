/** One edit of many captions: shown and counted before it is made, undone as a whole. */
import { post } from "./api.js";
import { shownDiff } from "./diff.js";
import { debounced, h } from "./dom.js";

/** @param {import("./main.js").Page} page @param {any[]} selected rows; none: all that are found */
export function openBulk(page, selected) {
  const kind = h("select", { "aria-label": "Kind of edit" }, ...[["replace", "Find and replace"], ["prefix", "Put in front"], ["suffix", "Put behind"], ["trigger", "Trigger word"]].map(([value, text]) => h("option", { value }, text)));
  const find = h("input", { type: "text", placeholder: "Find", "aria-label": "Find", maxLength: 1000 });
  const text = h("input", { type: "text", placeholder: "Replace by", "aria-label": "Text", maxLength: 10000 });
  const regex = h("input", { type: "checkbox" }), ignoreCase = h("input", { type: "checkbox" });
  const finding = h("span", { class: "row" }, find, h("label", {}, regex, " regular expression"), h("label", {}, ignoreCase, " ignore case"));
  const summary = h("p", { role: "status" }), changes = h("ol", { class: "changes" });
  const apply = h("button", { type: "button", class: "accept", disabled: true, onclick: () => carryOut() }, "Apply");
  let preview = /** @type {any} */ (null);
  const edit = () => ({ kind: kind.value, find: find.value, text: text.value, regex: regex.checked, ignore_case: ignoreCase.checked, ...page.results.query, reviewer: page.reviewer,
    rows: selected.map(({ clip_id, prompt_index }) => ({ clip_id, prompt_index })) });
  const look = async () => {
    finding.hidden = kind.value !== "replace";
    text.placeholder = kind.value === "replace" ? "Replace by" : "Text";
    apply.disabled = true;
    preview = null;
    const asked = edit();
    if (kind.value === "replace" ? !find.value : !text.value) return changes.replaceChildren(), summary.replaceChildren("Every change is shown here before it is made.");
    try {
      const found = await post("/api/bulk", asked);
      if (JSON.stringify(asked) !== JSON.stringify(edit())) return;
      preview = { asked, count: found.count };
      summary.replaceChildren(`${found.count.toLocaleString("en")} captions change, ${found.unchanged.toLocaleString("en")} stay as they are.${found.changes.length < found.count ? ` The first ${found.changes.length}:` : ""}`);
      changes.replaceChildren(...found.changes.map((/** @type {any} */ change) => h("li", {}, shownDiff(change.before ?? "", change.after))));
      apply.disabled = !found.count;
      apply.textContent = `Apply to ${found.count.toLocaleString("en")}`;
    } catch (error) {
      summary.replaceChildren(error instanceof Error ? error.message : String(error));
      changes.replaceChildren();
    }
  };
  const carryOut = async () => {
    apply.disabled = true;
    try {
      const { group_id, count } = await post("/api/bulk", { ...preview.asked, count: preview.count, group_id: preview.id ??= crypto.randomUUID() });
      dialog.close();
      page.say(`${count.toLocaleString("en")} captions were edited.`, "Undo all of it", () => page.decide({ action: "undo", undoes: group_id }));
      page.changed();
    } catch (error) {
      summary.replaceChildren(error instanceof Error ? error.message : String(error));
      apply.disabled = false;
    }
  };
  const later = debounced(300, look);
  for (const input of [kind, find, text, regex, ignoreCase]) input.addEventListener("input", later);
  const of = selected.length ? `${selected.length} selected captions` : `all ${page.results.count.toLocaleString("en")} captions found`;
  const dialog = h("dialog", { class: "bulk", "aria-label": "Bulk edit", onclose: () => dialog.remove() }, h("h2", {}, `Edit ${of}`), h("div", { class: "row" }, kind, finding, text), summary, changes,
    h("div", { class: "row" }, apply, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")));
  document.body.append(dialog);
  dialog.showModal();
  look();
}
