/** Two captions of a clip, side by side, without saying which prompt or run made which. */
import { get } from "./api.js";
import { h, nameOf } from "./dom.js";
import { setKeys } from "./keys.js";
import { Player } from "./player.js";

export class Blind {
  /** @param {import("./main.js").Page} page */
  constructor(page) {
    this.page = page;
    this.player = new Player();
    this.after = -1;
    this.pair = /** @type {any} */ (null);
    /** @type {Record<string, number>} */
    this.tally = {};
    /** @type {Map<string, "left" | "right" | "neither">} by the id of what is not saved yet */
    this.made = new Map();
    page.outbox.addEventListener("saved", (event) => this.#told(/** @type {CustomEvent} */ (event).detail));
    this.title = h("h2", {});
    const side = (/** @type {"left" | "right"} */ name, /** @type {string} */ key) => {
      const text = h("p", { class: "caption", dir: "auto" });
      const element = h("section", { class: "side", "aria-label": `The ${name} caption` }, text, h("button", { class: "accept", title: `Key: ${key}`, onclick: () => this.choose(name) }, "This one ", h("kbd", {}, key)));
      return { text, element };
    };
    this.left = side("left", "1");
    this.right = side("right", "2");
    this.result = h("p", { class: "hint", role: "status" });
    this.sides = h("div", { class: "sides" }, this.left.element, this.right.element);
    this.element = h("div", { class: "blind" }, this.title, this.player.element, this.sides,
      h("div", { class: "row decide" }, h("button", { title: "Key: 0", class: "reject", onclick: () => this.choose("neither") }, "Neither ", h("kbd", {}, "0")), h("button", { title: "Key: s", onclick: () => this.skip() }, "Skip ", h("kbd", {}, "s"))), this.result);
  }

  keys() {
    setKeys("comparison", [["1", "the left caption is better", () => this.choose("left")], ["2", "the right caption is better", () => this.choose("right")], ["0", "neither", () => this.choose("neither")], ["s n", "skip", () => this.skip()],
      ["Space", "play or pause", () => this.player.toggle()], [",", "one frame back", () => this.player.step(-1)], [".", "one frame on", () => this.player.step(1)]]);
  }

  async show() {
    const asked = (this.asked = Symbol("pair"));  // a late answer to an earlier question would show a pair again
    this.hasFailed = false;
    try {
      const { pair } = await get("/api/compare", { after: this.after });
      if (asked !== this.asked) return;
      this.pair = pair;
      this.sides.hidden = !pair;
      this.player.element.hidden = !pair;
      if (!pair) return this.title.replaceChildren(this.after < 0 ? `There is no clip with two captions that nobody has decided on. ${this.page.folder.other ? `Those of ${this.page.folder.other} are compared.` : "Caption with two prompts, or open the review with --compare and another folder."}` : "That was the last pair.");
      this.title.replaceChildren(nameOf(pair.source_video));
      this.left.text.textContent = pair.left;
      this.right.text.textContent = pair.right;
      const { row } = await get("/api/clip", { clip: pair.clip_id, prompt: pair.prompts[0] });
      if (asked !== this.asked) return;
      this.player.show(row);
      this.page.moved(row);
    } catch (error) {
      if (asked !== this.asked) return;
      this.hasFailed = true;
      this.page.say(error instanceof Error ? error.message : String(error));
    }
  }

  skip() {
    if (!this.pair) return;
    this.after = this.pair.place;
    this.pair = null;
    return this.show();
  }

  /** @param {"left" | "right" | "neither"} choice */
  choose(choice) {
    const id = this.pair && this.page.decide({ action: "choose", clip_id: this.pair.clip_id, prompts: this.pair.prompts, choice });
    if (!id) return;
    this.made.set(id, choice);
    return this.skip();
  }

  /** Says whose the captions were, once the choice is on the disk. @param {any} answer */
  #told({ group_id, sides }) {
    const choice = this.made.get(group_id);
    if (!choice || !sides) return;
    this.made.delete(group_id);
    const winner = choice === "neither" ? "neither" : `${sides[choice].by} (${sides[choice].model})`;
    this.tally[winner] = (this.tally[winner] ?? 0) + 1;
    this.result.textContent = `You chose: ${winner}. So far: ${Object.entries(this.tally).map(([name, count]) => `${count} × ${name}`).join("; ")}.`;
    if (this.page.view === "blind" && this.hasFailed) this.show();
  }

  leave() {
    this.player.stop();
  }

  refresh() {}
}
