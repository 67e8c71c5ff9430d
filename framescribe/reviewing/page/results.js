/** The rows that are looked for, fetched by need, a chunk at a time. */
import { get } from "./api.js";

const CHUNK = 60;
const MOST_CHUNKS = 100;

export class Results extends EventTarget {
  constructor() {
    super();
    this.query = { search: "", where: /** @type {string[]} */ ([]), order: "" };
    this.view = -1;
    this.count = 0;
    this.loaded = 0;
    this.isComplete = false;
    /** @type {Map<number, any[]>} */
    this.chunks = new Map();
    /** @type {Map<number, Promise<void>>} */
    this.asked = new Map();
  }

  /** Looks anew. @param {{search: string, where: string[], order: string}} query */
  async find(query) {
    const answer = await get("/api/rows", { ...query, offset: 0, limit: CHUNK });
    this.query = query;
    this.chunks.clear();
    this.asked.clear();
    this.isComplete = answer.is_complete;
    this.#take(answer, 0);
    this.dispatchEvent(new Event("found"));
  }

  /** @param {any} answer @param {number} chunk */
  #take(answer, chunk) {
    this.view = answer.view;
    this.count = answer.count;
    this.loaded = answer.total;
    this.chunks.set(chunk, answer.rows);
    if (this.chunks.size > MOST_CHUNKS) this.chunks.delete(this.chunks.keys().next().value ?? 0);
  }

  /** The row at a place, if it is here. @param {number} place */
  peek(place) {
    return this.chunks.get(Math.floor(place / CHUNK))?.[place % CHUNK];
  }

  /** Has the rows between two places fetched. @param {number} from @param {number} to */
  async fetch(from, to) {
    const waiting = [];
    for (let chunk = Math.floor(Math.max(0, from) / CHUNK); chunk * CHUNK < Math.min(to, this.count); chunk++) {
      if (this.chunks.has(chunk)) continue;
      if (!this.asked.has(chunk)) {
        const asked = get("/api/rows", { ...this.query, view: this.view, offset: chunk * CHUNK, limit: CHUNK })
          .then((answer) => this.asked.get(chunk) === asked && this.#take(answer, chunk))  // not where others were looked for since
          .finally(() => this.asked.get(chunk) === asked && this.asked.delete(chunk));
        this.asked.set(chunk, asked);
      }
      waiting.push(this.asked.get(chunk));
    }
    if (waiting.length) await Promise.all(waiting);
  }

  /** @param {number} place */
  async at(place) {
    await this.fetch(place, place + 1);
    return this.peek(place);
  }

  /** Where a clip is among the rows that are here; -1 where it is not. @param {string} clip @param {number} prompt */
  placeOf(clip, prompt) {
    for (const [chunk, rows] of this.chunks) {
      const at = rows.findIndex((row) => row.clip_id === clip && row.prompt_index === prompt);
      if (at >= 0) return chunk * CHUNK + at;
    }
    return -1;
  }

  /** Changes what is known of a row. @param {string} clip @param {number} prompt @param {any} change */
  update(clip, prompt, change) {
    const row = this.peek(this.placeOf(clip, prompt));
    if (row) Object.assign(row, change);
    this.dispatchEvent(new CustomEvent("changed", { detail: { clip, prompt } }));
  }
}
