/** Search, conditions and order. A chip is a condition in SQL, and shows it. */
import { debounced, h, redraw } from "./dom.js";

/** @param {string} text */
export function quoted(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

export class Filters {
  /** @param {{onchange: (query: {search: string, where: string[], order: string}) => void}} given */
  constructor({ onchange }) {
    this.query = { search: "", where: /** @type {string[]} */ ([]), order: "" };
    /** @type {Map<string, string>} */
    this.names = new Map();
    this.onchange = onchange;
    const changed = debounced(250, () => this.#changed());
    this.search = h("input", { type: "search", placeholder: "Search captions, files, tags (/)", "aria-label": "Search captions, files and tags", maxLength: 1000, oninput: changed,
      onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.search.blur() });
    this.order = h("select", { "aria-label": "Order", onchange: () => this.#changed() });
    this.sql = h("input", { type: "text", placeholder: "SQL: duration_s > 5", "aria-label": "Add a condition in SQL", maxLength: 4000, list: "columns", spellcheck: false, onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") this.sql.blur();
      if (event.key === "Enter" && this.sql.value.trim()) this.toggle(this.sql.value.trim()), this.sql.value = "";
    } });
    this.problem = h("p", { class: "message", role: "alert", hidden: true });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "Conditions" });
    this.columns = h("datalist", { id: "columns" });
    this.tagList = h("datalist", { id: "tags" });
    this.reasons = h("datalist", { id: "reasons" }, ...["does not match the clip", "makes things up", "leaves out what matters", "cut off", "repeats itself", "wrong language"].map((value) => h("option", { value })));
    this.element = h("div", { class: "filters" }, h("div", { class: "row" }, this.search, this.order, this.sql), this.chips, this.problem, this.columns, this.tagList, this.reasons);
  }

  /** @param {any} folder as `/api/folder` tells it */
  offer(folder) {
    const numeric = Object.entries(folder.columns).filter(([, kind]) => /DOUBLE|BIGINT|FLOAT|INTEGER/.test(String(kind))).map(([name]) => name);
    const orders = [["needs", "what needs me first"], ["", "as captioned"], ...numeric.filter((name) => !["schema_version", "prompt_index", "num_frames", "seed"].includes(name)).flatMap((name) => [[`${name} DESC`, `${name} ↓`], [name, `${name} ↑`]]),
      ["length(coalesce(edited_caption, caption)) DESC", "longest caption"], ["length(coalesce(edited_caption, caption))", "shortest caption"], ["source_video", "file"], ["hash(clip_id)", "by chance"]];
    if (!orders.some(([value]) => value === this.query.order)) orders.push([this.query.order, this.query.order]);
    if (JSON.stringify(orders) !== this.orders) this.order.replaceChildren(...orders.map(([value, text]) => h("option", { value, selected: value === this.query.order }, text)));
    this.orders = JSON.stringify(orders);  // a list that somebody has open stays open
    this.columns.replaceChildren(...Object.keys(folder.columns).map((value) => h("option", { value })));
    this.tagList.replaceChildren(...Object.keys(folder.counts.tags).map((value) => h("option", { value })));
    this.counts = folder.counts;
    this.draw();
  }

  /** @returns {[string, string, string, number][]} condition, name, tone, count */
  #offered() {
    const counts = /** @type {Record<string, Record<string, number>>} */ (this.counts ?? { decision: {}, caption_status: {}, flags: {}, tags: {} });
    const verdicts = /** @type {Record<string, [string, string]>} */ ({ none: ["undecided", "decision IS NULL"], accept: ["accepted", "decision = 'accept' AND NOT decision_is_stale"], reject: ["rejected", "decision = 'reject' AND NOT decision_is_stale"], stale: ["stale", "decision_is_stale"] });
    return [
      ...Object.entries(verdicts).filter(([name]) => counts.decision[name]).map(([name, [text, sql]]) => /** @type {[string, string, string, number]} */ ([sql, text, name, counts.decision[name]])),
      ...Object.entries(counts.caption_status).filter(([name]) => name !== "success").map(([name, count]) => /** @type {[string, string, string, number]} */ ([`caption_status = ${quoted(name)}`, name, name, Number(count)])),
      ...Object.entries(counts.flags).map(([name, count]) => /** @type {[string, string, string, number]} */ ([`list_contains(flags, ${quoted(name)})`, name, "flag", Number(count)])),
      ...Object.entries(counts.tags).slice(0, 12).map(([name, count]) => /** @type {[string, string, string, number]} */ ([`list_contains(tags, ${quoted(name)})`, name, "", Number(count)])),
    ];
  }

  draw() {
    const offered = this.#offered(), known = new Set(offered.map(([sql]) => sql));
    const own = this.query.where.filter((sql) => !known.has(sql));
    const chips = JSON.stringify([offered, this.query.where]);
    if (chips === this.drawn) return;  // one that somebody clicks right now stays
    this.drawn = chips;
    redraw(this.chips, ...offered.map(([sql, name, tone, count]) => h("button", { class: `chip ${tone}`, "aria-pressed": String(this.query.where.includes(sql)), title: sql, onclick: () => this.toggle(sql) }, `${name} ${count.toLocaleString("en")}`)),
      ...own.map((sql) => h("button", { class: "chip sql", "aria-pressed": "true", title: "Remove this condition", onclick: () => this.toggle(sql) }, sql, " ×")));
  }

  /** @param {string} sql */
  toggle(sql) {
    const { where } = this.query;
    this.query = { ...this.query, where: where.includes(sql) ? where.filter((each) => each !== sql) : [...where, sql] };
    this.draw();
    this.#changed();
  }

  #changed() {
    this.query = { ...this.query, search: this.search.value, order: this.order.value };
    this.onchange(this.query);
  }

  /** @param {{search: string, where: string[], order: string}} query @param {any} folder as `/api/folder` tells it */
  set(query, folder) {
    this.query = query;
    this.search.value = query.search;
    this.offer(folder);
    this.order.value = query.order;
  }

  /** @param {string} problem */
  say(problem) {
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
  }
}
