/** A caption that is edited in place, with its length and flags as one types. */
import { post } from "./api.js";
import { debounced, h } from "./dom.js";

export class Editor {
  /** @param {{limits: Record<string, number>, save: (text: string) => void}} given */
  constructor({ limits, save }) {
    this.limits = limits;
    this.key = "";
    this.saved = "";
    this.text = h("textarea", { dir: "auto", spellcheck: true, rows: 8, "aria-label": "Caption", "aria-describedby": "budgets", maxLength: 100000, oninput: () => this.#changed(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.preventDefault(), this.save(), this.text.blur();
        if (event.key === "Escape") event.preventDefault(), this.text.blur();
      } });
    this.budgets = h("p", { class: "budgets", id: "budgets" });
    this.saveButton = h("button", { title: "Ctrl+Enter", onclick: () => this.save() }, "Save the edit");
    this.revertButton = h("button", { onclick: () => this.#revert() }, "Discard it");
    this.state = h("p", { class: "hint", role: "status" });
    this.buttons = h("div", { class: "row", hidden: true }, this.saveButton, this.revertButton);
    this.element = h("section", { class: "editor", "aria-label": "Caption" }, this.text, this.budgets, this.buttons, this.state);
    this.onSave = save;
    this.check = debounced(200, () => this.#check());
  }

  /** @param {string} key of the row @param {string} text as saved */
  show(key, text) {
    const isOther = key !== this.key;
    if (!isOther && this.isDirty && text !== this.saved) {
      this.state.textContent = "Somebody saved another text meanwhile: it is in the history. Yours is still here.";
      this.saved = text;
      return;
    }
    if (!isOther && text === this.saved) return;
    this.key = key;
    this.saved = text;
    const draft = localStorage.getItem(this.draftKey);
    const isAllSelected = !isOther && this.text.value && this.text.selectionEnd - this.text.selectionStart === this.text.value.length;
    this.text.value = draft ?? text;
    if (isAllSelected) this.text.select();  // what is typed next replaces this text, too
    this.state.textContent = draft !== null && draft !== text ? "This is a draft of yours that was not saved." : "";
    this.#changed(true);
    this.check.cancel();
    this.#check();
  }

  get draftKey() {
    return `framescribe:draft:${this.key}`;
  }

  get isDirty() {
    return this.key !== "" && this.text.value !== this.saved;
  }

  /** @param {boolean} [isNew] */
  #changed(isNew) {
    this.buttons.hidden = !this.isDirty;
    try {
      if (this.isDirty) localStorage.setItem(this.draftKey, this.text.value);
      else localStorage.removeItem(this.draftKey);
    } catch {
      this.state.textContent = "The browser cannot keep drafts: save before you leave.";
    }
    if (!isNew) this.check();
  }

  async #check() {
    const key = this.key, text = this.text.value;
    try {
      const found = await post("/api/check", { text });
      if (key === this.key && text === this.text.value) this.#show(found);
    } catch {
      this.budgets.replaceChildren("The caption's length is not known while the server does not answer.");
    }
  }

  /** @param {any} found */
  #show(found) {
    const lengths = [["words", "words", found.words], ["t5", "T5 tokens", found.t5], ["clip", "CLIP tokens", found.clip]].map(([key, name, count]) => {
      const limit = this.limits[key], isOver = count !== null && count > limit;
      return h("span", { class: isOver ? "over" : "", title: count === null ? `No tokenizer: start with --${key}-tokenizer FILE` : `At most ${limit}` },
        `${count === null ? "?" : count}/${limit} ${name}${isOver ? " – too long" : ""}`);
    });
    this.budgets.replaceChildren(...lengths, ...found.flags.map((/** @type {string} */ flag) => h("span", { class: "tag flag" }, flag)));
  }

  save() {
    if (!this.isDirty) return;
    const text = this.text.value;
    this.onSave(text);
    this.saved = text;
    this.state.textContent = "";
    this.#changed();
  }

  #revert() {
    this.text.value = this.saved;
    this.#changed();
    this.text.focus();
  }

  focus() {
    this.text.focus();
  }
}
