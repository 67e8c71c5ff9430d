/**
 * Decisions on their way to the server. Each lies in the browser's storage until the server says that it is on the
 * disk; its id makes it safe to send twice. What is refused stays, so that no text is lost.
 */
import { ApiError, post } from "./api.js";

const BATCH = 50;
const AGAIN_MS = [500, 1000, 2000, 5000, 10000];

export class Outbox extends EventTarget {
  /** @param {string} folder */
  constructor(folder) {
    super();
    this.prefix = `framescribe:${folder}:out:`;
    this.failures = 0;
    /** @type {string | null} */
    this.problem = null;
    this.isSending = false;
    this.saved = 0;
    window.addEventListener("online", () => this.send());
    window.addEventListener("storage", () => this.#tell());
  }

  /** @returns {{key: string, sequence: number, decision: any, refused?: string}[]} */
  get all() {
    const found = [];
    for (let place = 0; place < localStorage.length; place++) {
      const key = localStorage.key(place);
      if (key?.startsWith(this.prefix)) found.push({ key, ...JSON.parse(localStorage.getItem(key) ?? "{}") });
    }
    return found.sort((a, b) => a.sequence - b.sequence);
  }

  get waiting() {
    return this.all.filter((each) => !each.refused);
  }

  get refused() {
    return this.all.filter((each) => each.refused);
  }

  /** Takes a decision and sends it. @param {any} decision @returns {string} its id */
  add(decision) {
    const id = crypto.randomUUID();
    const sequence = Date.now() * 1000 + (this.count = ((this.count ?? 0) + 1) % 1000);
    localStorage.setItem(this.prefix + id, JSON.stringify({ sequence, decision: { ...decision, group_id: id } }));
    this.#tell();
    this.send();
    return id;
  }

  /** Forgets a refused decision. @param {string} key */
  drop(key) {
    localStorage.removeItem(key);
    this.#tell();
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    clearTimeout(this.timer);
    try {
      for (let some = this.waiting.slice(0, BATCH); some.length; some = this.waiting.slice(0, BATCH)) {
        const { answers } = await post("/api/decide", { decisions: some.map((each) => each.decision) });
        const later = answers.find((/** @type {any} */ each) => !each.is_saved && each.may_retry);
        answers.forEach((/** @type {any} */ answer, /** @type {number} */ place) => this.#settle(some[place], answer));
        if (later) throw new ApiError(later.error, 507);
        this.failures = 0;
        this.problem = null;
        this.#tell();
      }
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      this.timer = setTimeout(() => this.send(), AGAIN_MS[Math.min(this.failures++, AGAIN_MS.length - 1)]);
      this.#tell();
    } finally {
      this.isSending = false;
    }
  }

  /** @param {{key: string}} item @param {any} answer */
  #settle(item, answer) {
    if (answer.is_saved) {
      localStorage.removeItem(item.key);
      this.saved++;
      this.dispatchEvent(new CustomEvent("saved", { detail: answer }));
    } else if (!answer.may_retry) {
      localStorage.setItem(item.key, JSON.stringify({ ...JSON.parse(localStorage.getItem(item.key) ?? "{}"), refused: answer.error }));
    }
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
