/** One clip beside its caption: look, decide, edit, tag, go on. */
import { get } from "./api.js";
import { h, nameOf, number, redraw } from "./dom.js";
import { Editor } from "./editor.js";
import { dissentOf, historyOf, provenanceOf, scoresOf } from "./history.js";
import { setKeys, showKeys } from "./keys.js";
import { Player } from "./player.js";

export class Focus {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.player = new Player();
    this.editor = new Editor({ limits: page.folder.limits, save: (text) => this.#edit(text) });
    /** @type {{key: string, id: string}[]} what was decided here, which may not be in the history yet */
    this.made = [];
    this.title = h("h2", {});
    this.facts = h("p", { class: "hint" });
    this.question = h("p", { class: "hint", dir: "auto" });
    this.status = h("p", { class: "verdict", role: "status" });
    this.tags = h("span", { class: "row" });
    this.tagInput = h("input", { type: "text", class: "addtag", placeholder: "Tag (t)", "aria-label": "Add a tag", list: "tags", maxLength: 100, onkeydown: (/** @type {KeyboardEvent} */ event) => this.#tagKey(event) });
    this.more = h("div", { class: "more" });
    this.reason = h("input", { type: "text", placeholder: "Why? (Enter; may be empty)", "aria-label": "Reason of the rejection", list: "reasons", maxLength: 1000,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#reasonKey(event) });
    this.reasonRow = h("form", { class: "row", hidden: true, onsubmit: (/** @type {Event} */ event) => event.preventDefault() }, this.reason, h("button", { type: "button", onclick: () => this.#reject() }, "Reject"));
    const button = (/** @type {string} */ text, /** @type {string} */ key, /** @type {() => void} */ work, tone = "") => h("button", { class: tone, title: `Key: ${key}`, "aria-keyshortcuts": key, onclick: work }, text, h("kbd", {}, key));
    this.element = h("div", { class: "focus" },
      h("div", { class: "left" }, this.player.element),
      h("div", { class: "right" }, this.title, this.facts, this.question, this.status, this.editor.element,
        h("div", { class: "row decide" }, button("Accept", "a", () => this.accept(), "accept"), button("Reject", "r", () => this.askReason(), "reject"), button("Previous", "p", () => this.go(-1)), button("Next", "n", () => this.go(1)),
          button("Undo", "u", () => this.undo())), this.reasonRow, h("div", { class: "row tags", "aria-label": "Tags", role: "group" }, this.tags, this.tagInput), this.more));
  }

  keys() {
    setKeys("clip", [
      ["n ArrowRight", "next clip", () => this.go(1)], ["p ArrowLeft", "previous clip", () => this.go(-1)],
      ["a", "accept", () => this.accept()], ["A", "accept, and go to the next", () => (this.accept(), this.go(1))], ["r", "reject, with a reason", () => this.askReason()],
      ["e Enter", "edit the caption", () => this.editor.focus()], ["t", "tag", () => this.askTag()], ["u", "undo my last decision on this clip", () => this.undo()],
      ["Space", "play or pause", () => this.player.toggle()], [", .".split(" ")[0], "one frame back", () => this.player.step(-1)], [".", "one frame on", () => this.player.step(1)],
      ["[", "slower", () => this.player.faster(-1)], ["]", "faster", () => this.player.faster(1)], ["l", "loop, or not", () => this.player.loop()],
    ]);
  }

  get key() {
    return `${this.row?.clip_id}\0${this.row?.prompt_index}`;
  }

  /** @param {number} place @param {{isSame?: boolean}} [given] */
  async show(place, { isSame = false } = {}) {
    const listed = await this.page.results.at(place);
    if (!listed) return;
    this.place = place;
    const isOther = !this.row || listed.clip_id !== this.row.clip_id || listed.prompt_index !== this.row.prompt_index;
    if (isOther) this.reasonRow.hidden = true;  // now, not once the answer is there: one may type a reason by then
    if (isOther || !isSame) this.#draw({ ...listed });
    const asked = (this.asked = Symbol("clip"));
    const { row, history, others } = await get("/api/clip", { clip: listed.clip_id, prompt: listed.prompt_index });
    if (asked !== this.asked) return;
    Object.assign(listed, { decision: row.decision, tags: row.tags, edited_caption: row.edited_caption, decision_is_stale: row.decision_is_stale, reviewer: row.reviewer, decision_reason: row.decision_reason });
    this.history = history;
    this.others = others;
    this.#draw(row);
    const seen = this.player.row;
    if (seen?.clip_id !== row.clip_id || seen.prompt_index !== row.prompt_index) {  // also where an earlier answer was dropped
      this.player.show(row);
      this.#ahead(place + 1);
    }
    this.page.moved(row);
  }

  /** What comes next is made ready while this is looked at. @param {number} place */
  async #ahead(place) {
    const next = place < this.page.results.count ? await this.page.results.at(place) : null;
    if (next) get("/api/media", { clip: next.clip_id, prompt: next.prompt_index }).catch(() => undefined);
  }

  /** @param {any} row */
  #draw(row) {
    this.row = row;
    this.title.textContent = nameOf(row.source_video);
    this.title.title = row.source_video;
    const facts = [`${(this.place ?? 0) + 1} of ${this.page.results.count.toLocaleString("en")}`, row.start_s || row.end_s !== null ? `${number(row.start_s ?? 0, 6)}–${row.end_s === null ? "end" : number(row.end_s, 6)} s` : null,
      row.duration_s ? `${number(row.duration_s)} s` : null, row.width ? `${row.width}×${row.height}` : null, row.fps ? `${number(row.fps)} fps` : null, row.codec,
      row.missing_s > 0 ? `${number(row.missing_s)} s cannot be read` : null];
    this.facts.textContent = facts.filter(Boolean).join(" · ");
    this.question.textContent = row.prompt_index || this.others?.length ? `Prompt ${row.prompt_index + 1}: ${row.prompt ?? ""}` : "";
    const lookers = this.page.lookersAt(row.clip_id);
    const verdict = row.decision ? h("span", { class: `tag ${row.decision_is_stale ? "stale" : row.decision}` }, `${row.decision === "accept" ? "accepted" : "rejected"}${row.reviewer ? ` by ${row.reviewer}` : ""}${row.decision_reason ? `: ${row.decision_reason}` : ""}${row.decision_is_stale ? " – stale: captioned anew since" : ""}`)
      : h("span", { class: "tag" }, row.decision_is_stale ? "stale: captioned anew since" : "undecided");
    const dissent = dissentOf(this.history ?? [], row).map(([name, action]) => h("span", { class: "tag stale" }, `${name} had ${action === "accept" ? "accepted" : "rejected"} it`));
    this.status.replaceChildren(...[verdict, ...dissent, h("span", { class: `tag ${row.caption_status}` }, row.caption_status), ...(row.flags ?? []).map((/** @type {string} */ flag) => h("span", { class: "tag flag" }, flag)),
      row.edited_caption !== null && row.edited_caption !== undefined ? h("span", { class: "tag" }, "edited") : null, ...lookers.map((name) => h("span", { class: "tag looking" }, `${name} looks at it too`))].filter((each) => each !== null));
    this.editor.show(this.key, row.edited_caption ?? row.caption ?? "");
    redraw(this.tags, ...(row.tags ?? []).map((/** @type {string} */ tag) => h("button", { class: "tag", title: "Remove the tag", "aria-label": `Remove the tag ${tag}`, onclick: () => this.#decide({ action: "untag", tags: [tag] }) }, `${tag} ×`)));
    redraw(this.more, row.error_message ? h("p", { class: "message" }, row.error_message) : null, this.history ? historyOf(row, this.history, (id) => this.page.decide({ action: "undo", undoes: id, rows: [this.#named()] })) : null,
      scoresOf(row), row.model ? provenanceOf(row) : null);
  }

  #named() {
    return { clip_id: this.row.clip_id, prompt_index: this.row.prompt_index, caption: this.row.caption };
  }

  /** @param {any} decision */
  #decide(decision) {
    const id = this.page.decide({ ...decision, rows: [this.#named()] });
    if (id) this.made.push({ key: this.key, id });
  }

  /** @param {string} text */
  #edit(text) {
    this.#decide({ action: "edit", text });
    const listed = this.page.results.peek(this.place ?? 0);
    if (listed) listed.edited_caption = text;
  }

  accept() {
    this.editor.save();
    this.#decide({ action: "accept" });
    this.#draw({ ...this.row, decision: "accept", decision_is_stale: false, decision_reason: null, reviewer: this.page.reviewer });
  }

  askReason() {
    this.reasonRow.hidden = false;
    this.reason.value = "";
    this.reason.focus();
  }

  /** @param {KeyboardEvent} event */
  #reasonKey(event) {
    if (event.key === "Enter") event.preventDefault(), this.#reject();
    if (event.key === "Escape") this.reasonRow.hidden = true, this.page.element.focus({ preventScroll: true });
  }

  #reject() {
    this.editor.save();
    const reason = this.reason.value.trim();
    this.reasonRow.hidden = true;
    this.page.element.focus({ preventScroll: true });
    this.#decide({ action: "reject", reason });
    this.#draw({ ...this.row, decision: "reject", decision_is_stale: false, decision_reason: reason, reviewer: this.page.reviewer });
  }

  askTag() {
    this.tagInput.focus();
  }

  /** @param {KeyboardEvent} event */
  #tagKey(event) {
    const tag = this.tagInput.value.trim();
    if (event.key === "Escape" || event.key === "Enter") event.preventDefault(), this.page.element.focus({ preventScroll: true });
    if (event.key !== "Enter" || !tag) return;
    this.tagInput.value = "";
    this.#decide({ action: "tag", tags: [tag] });
  }

  undo() {
    const last = this.made.findLastIndex((each) => each.key === this.key);
    if (last >= 0) {
      const [{ id }] = this.made.splice(last, 1);
      return void this.page.decide({ action: "undo", undoes: id, rows: [this.#named()] });
    }
    const undone = new Set((this.history ?? []).filter((/** @type {any} */ each) => each.action === "undo").map((/** @type {any} */ each) => each.undoes));
    const mine = (this.history ?? []).findLast((/** @type {any} */ each) => each.action !== "undo" && each.reviewer === this.page.reviewer && !undone.has(each.entry_id));
    if (mine) this.page.decide({ action: "undo", undoes: mine.entry_id, rows: [this.#named()] });
    else this.page.say("There is nothing of yours to undo on this clip.");
  }

  /** @param {number} by */
  go(by) {
    const place = (this.place ?? 0) + by;
    if (place < 0 || place >= this.page.results.count) this.page.say(by > 0 ? "This was the last clip." : "This is the first clip.");
    else return this.page.tried(this.show(place));
  }

  /** Shows it again after a decision that is saved, or of another. */
  refresh() {
    return this.page.tried(this.show(this.place ?? 0, { isSame: true }));
  }

  leave() {
    this.player.stop();
  }
}
export { showKeys };
