/** Many clips at once: strips that play when they are pointed at; only what is in sight is there. */
import { h, nameOf, redraw } from "./dom.js";
import { setKeys } from "./keys.js";

const LEAST_WIDTH = 260, HEIGHT = 268, GAP = 12, TALLEST = 8_000_000;

export class Grid {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.at = 0;
    /** @type {Map<number, HTMLElement>} */
    this.cards = new Map();
    /** @type {WeakMap<HTMLElement, any>} the row that each card shows: keys act on it, whatever is read meanwhile */
    this.rows = new WeakMap();
    /** @type {Map<string, any>} */
    this.selected = new Map();
    this.sheet = h("ul", { class: "sheet", "aria-label": "Clips" });
    this.scroller = h("div", { class: "scroller", tabIndex: -1, onscroll: () => this.draw() }, this.sheet);
    this.element = h("div", { class: "grid" }, this.scroller);
    new ResizeObserver(() => this.element.isConnected && this.draw()).observe(this.scroller);
  }

  keys() {
    setKeys("grid", [
      ["ArrowRight n", "next clip", () => this.move(1)], ["ArrowLeft p", "previous clip", () => this.move(-1)], ["ArrowDown", "row below", () => this.move(this.columns)], ["ArrowUp", "row above", () => this.move(-this.columns)],
      ["Home", "first clip", () => this.move(-Infinity)], ["End", "last clip", () => this.move(Infinity)], ["Enter f", "look at the clip", () => this.page.open("focus", this.at)],
      ["x", "select the clip, or not", () => this.select(this.at)], ["a", "accept the selected clips, or this one", () => this.#decide({ action: "accept" })], ["r", "reject them", () => this.#decide({ action: "reject", reason: "" })],
    ]);
  }

  get columns() {
    return Math.max(1, Math.floor((this.scroller.clientWidth + GAP) / (LEAST_WIDTH + GAP)));
  }

  get lines() {
    return Math.ceil(this.page.results.count / this.columns);
  }

  /** How far the sheet is drawn apart from where it is scrolled to: browsers know no height for a million rows. */
  get #shown() {
    const full = this.lines * HEIGHT, height = Math.min(full, TALLEST), window = this.scroller.clientHeight;
    const top = full <= height || height <= window ? this.scroller.scrollTop : this.scroller.scrollTop / (height - window) * (full - window);
    return { full, height, top, window };
  }

  draw() {
    const { height, top, window } = this.#shown, columns = this.columns;
    this.sheet.style.height = `${height}px`;
    const first = Math.max(0, Math.floor(top / HEIGHT) - 1) * columns;
    const last = Math.min(this.page.results.count, Math.ceil((top + window) / HEIGHT + 1) * columns);
    for (const [place, card] of this.cards) if (place < first || place >= last) card.remove(), this.cards.delete(place);
    const width = (this.scroller.clientWidth - GAP * (columns - 1)) / columns;
    for (let place = first; place < last; place++) {
      const card = this.cards.get(place) ?? this.#card(place);
      card.style.width = `${width}px`;
      card.style.transform = `translate(${(place % columns) * (width + GAP)}px, ${Math.floor(place / columns) * HEIGHT - top + this.scroller.scrollTop}px)`;
      if (!this.cards.has(place)) this.cards.set(place, card), this.sheet.append(card);
    }
    this.#fill(first, last);
  }

  /** @param {number} first @param {number} last */
  async #fill(first, last) {
    const wanted = (this.wanted = Symbol("rows"));
    await new Promise((done) => setTimeout(done, 60));
    if (wanted !== this.wanted || !this.element.isConnected) return;
    try {
      await this.page.results.fetch(first, last);
    } catch (error) {
      return this.page.say(error instanceof Error ? error.message : String(error));
    }
    for (const [place, card] of this.cards) if (!card.dataset.clip) this.#content(card, place);
  }

  /** @param {number} place */
  #card(place) {
    const card = h("li", { class: "card", "aria-setsize": this.page.results.count, "aria-posinset": place + 1 });
    this.#content(card, place);
    return card;
  }

  /** @param {any} card @param {number} place */
  #content(card, place) {
    const row = this.page.results.peek(place) ?? this.rows.get(card);
    if (!row) return;
    this.rows.set(card, row);
    card.dataset.clip = row.clip_id;
    const text = row.edited_caption ?? row.caption ?? row.error_message ?? "";
    const picture = h("img", { alt: "", loading: "lazy", src: `/media/strip?clip=${encodeURIComponent(row.clip_id)}&prompt=${row.prompt_index}`,
      onerror: () => picture.replaceWith(h("p", { class: "message" }, "No picture: the clip cannot be read.")) });
    const strip = h("div", { class: "strip" }, picture);
    const isChosen = this.selected.has(keyOf(row)), isHere = place === this.at;
    const verdict = row.decision ? h("span", { class: `tag ${row.decision_is_stale ? "stale" : row.decision}` }, row.decision_is_stale ? "stale" : row.decision === "accept" ? "accepted" : "rejected") : null;
    card.className = `card${isHere ? " here" : ""}${isChosen ? " chosen" : ""}`;
    redraw(card,
      h("button", { class: "open", "aria-label": `${nameOf(row.source_video)}, ${row.decision ?? "undecided"}`, tabIndex: isHere ? 0 : -1, onclick: () => this.page.open("focus", place), onfocus: () => this.#goTo(place, false) }, strip,
        h("span", { class: "name" }, nameOf(row.source_video), row.prompt_index ? ` · prompt ${row.prompt_index + 1}` : ""), h("span", { class: "text", dir: "auto" }, text.slice(0, 300))),
      h("div", { class: "row" }, h("label", {}, h("input", { type: "checkbox", tabIndex: -1, checked: isChosen, "aria-label": `Select ${nameOf(row.source_video)}`, onchange: () => this.select(place) })), verdict,
        row.caption_status === "success" ? null : h("span", { class: `tag ${row.caption_status}` }, row.caption_status), ...(row.flags ?? []).slice(0, 2).map((/** @type {string} */ flag) => h("span", { class: "tag flag" }, flag)),
        ...this.page.lookersAt(row.clip_id).map((name) => h("span", { class: "tag looking" }, name))));
  }

  /** Draws cards whose rows changed. */
  refresh() {
    for (const [place, card] of this.cards) this.#content(card, place);
  }

  /** @param {number} place */
  async show(place) {
    this.at = place;
    for (const card of this.cards.values()) card.remove();
    this.cards.clear();
    this.draw();
    this.#goTo(place, true);
  }

  /** @param {number} by */
  move(by) {
    this.#goTo(Math.min(this.page.results.count - 1, Math.max(0, this.at + by)), true);
  }

  /** @param {number} place @param {boolean} focus */
  #goTo(place, focus) {
    const before = this.at;
    this.at = place;
    const { full, height, top, window } = this.#shown, line = Math.floor(place / this.columns) * HEIGHT;
    if (line < top || line + HEIGHT > top + window) {
      const wanted = Math.max(0, Math.min(full - window, line < top ? line : line + HEIGHT - window));
      this.scroller.scrollTop = full <= height ? wanted : wanted / (full - window) * (height - window);
      this.draw();
    }
    for (const each of [before, place]) {  // the cards stay: one of them may be clicked right now
      const card = this.cards.get(each), button = /** @type {HTMLElement | null | undefined} */ (card?.querySelector("button.open"));
      card?.classList.toggle("here", each === place);
      if (button) button.tabIndex = each === place ? 0 : -1;
      if (focus && each === place) button?.focus({ preventScroll: true });
    }
    const row = this.page.results.peek(place);
    if (row) this.page.moved(row);
  }

  /** The row that is shown at a place, if one is. @param {number} place */
  #shownAt(place) {
    const card = this.cards.get(place);
    return card && this.rows.get(card);
  }

  /** @param {number} place */
  select(place) {
    const row = this.#shownAt(place);
    if (!row) return this.page.say("This clip is not shown yet.");
    if (!this.selected.delete(keyOf(row))) this.selected.set(keyOf(row), row);
    this.#content(this.cards.get(place), place);
    this.page.selectionChanged(this.selected.size);
  }

  /** @param {any} decision */
  #decide(decision) {
    const rows = this.selected.size ? [...this.selected.values()] : [this.#shownAt(this.at)].filter(Boolean);
    if (!rows.length) return this.page.say("This clip is not shown yet.");
    this.page.decide({ ...decision, rows: rows.map(({ clip_id, prompt_index, caption }) => ({ clip_id, prompt_index, caption })) });
    this.selected.clear();
    this.page.selectionChanged(0);
    this.refresh();
  }

  leave() {
    this.wanted = undefined;
  }
}

/** @param {any} row */
function keyOf(row) {
  return `${row.clip_id}\0${row.prompt_index}`;
}
