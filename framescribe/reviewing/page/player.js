/** A clip that plays within its span, frame by frame, with what the model saw on its timeline. */
import { get } from "./api.js";
import { h } from "./dom.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];

export class Player {
  constructor() {
    this.row = /** @type {any} */ (null);
    this.start = 0;
    this.end = 0;
    this.isLooping = true;
    this.video = h("video", { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true, tabIndex: -1, "aria-label": "The clip",
      onclick: () => this.toggle(), onloadedmetadata: () => this.#ready(), ontimeupdate: () => this.#keep(),
      onended: () => this.#again(), onerror: () => this.#say("The browser cannot play this clip."), onplay: () => this.#tick(), onseeked: () => this.#show() });
    this.message = h("p", { class: "message", hidden: true });
    this.marks = h("div", { class: "marks", "aria-hidden": "true" });
    this.unseen = h("div", { class: "unseen" });
    this.head = h("div", { class: "head" });
    this.slider = h("div", { class: "timeline", role: "slider", tabIndex: 0, "aria-label": "Place in the clip", "aria-valuemin": "0", "aria-valuenow": "0",
      onpointerdown: (/** @type {PointerEvent} */ event) => this.#drag(event), onkeydown: (/** @type {KeyboardEvent} */ event) => this.#slide(event) }, this.unseen, this.marks, this.head);
    this.place = h("span", { class: "place" });
    this.playButton = h("button", { title: "Play or pause (Space)", "aria-label": "Play", onclick: () => this.toggle() }, "▶");
    this.loopButton = h("button", { title: "Loop (l)", "aria-pressed": "true", onclick: () => this.loop() }, "Loop");
    this.speed = h("select", { "aria-label": "Speed", title: "Speed ([ and ])", onchange: () => this.#setSpeed(Number(this.speed.value)) },
      ...SPEEDS.map((speed) => h("option", { value: speed, selected: speed === 1 }, `${speed}×`)));
    this.legend = h("p", { class: "hint" });
    this.element = h("section", { class: "player", "aria-label": "Clip" }, h("div", { class: "screen" }, this.video, this.message), this.slider,
      h("div", { class: "controls" }, this.playButton,
        h("button", { title: "One frame back (,)", "aria-label": "One frame back", onclick: () => this.step(-1) }, "‹"),
        h("button", { title: "One frame on (.)", "aria-label": "One frame on", onclick: () => this.step(1) }, "›"), this.place, this.loopButton, this.speed), this.legend);
  }

  /** Shows a row's clip. @param {any} row */
  async show(row) {
    this.row = row;
    this.video.removeAttribute("src");
    this.video.load();
    this.marks.replaceChildren();
    this.unseen.hidden = true;
    this.#say("Opening the clip…");
    this.#legend();
    try {
      const media = await get("/api/media", { clip: row.clip_id, prompt: row.prompt_index });
      if (this.row !== row) return;
      this.start = media.is_original ? row.start_s ?? 0 : 0;
      this.isOriginal = media.is_original;
      this.end = row.end_s === null ? Infinity : this.start + row.end_s - (row.start_s ?? 0);
      this.video.src = media.url;
    } catch (error) {
      if (this.row === row) this.#say(error instanceof Error ? error.message : String(error));
    }
  }

  get fps() {
    return this.row?.fps || 25;
  }

  get length() {
    return Math.max(0.001, this.end - this.start);
  }

  #ready() {
    if (!this.row) return;
    this.end = Math.min(this.end, this.video.duration || this.end);
    this.video.currentTime = this.start;
    this.#say("");
    this.#mark();
    this.#setSpeed(this.speedWanted ?? 1);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.video.play().catch(() => undefined);
    this.#show();
  }

  #mark() {
    const seconds = this.row.frame_timestamps_s ?? [];
    this.marks.replaceChildren(...seconds.map((/** @type {number} */ second) => {
      const mark = h("i", {});
      mark.style.left = `${100 * Math.min(1, second / this.length)}%`;
      return mark;
    }));
    const covered = this.row.covered_s;
    this.unseen.hidden = covered === null || covered === undefined || covered >= this.length - 0.05;
    if (!this.unseen.hidden) this.unseen.style.left = `${100 * covered / this.length}%`;
    this.slider.setAttribute("aria-valuemax", this.length.toFixed(2));
  }

  #legend() {
    const seconds = this.row.frame_timestamps_s ?? [], covered = this.row.covered_s, length = this.row.duration_s;
    const part = covered && length && covered < length - 0.05 ? ` The model did not see what is shaded: the last ${(length - covered).toFixed(1)} s.` : "";
    this.legend.textContent = seconds.length ? `${seconds.length} frames that the model saw are marked.${part}` : "";
  }

  /** @param {string} text */
  #say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
    this.video.hidden = Boolean(text);
  }

  #keep() {
    if (this.video.currentTime >= this.end - 0.5 / this.fps && !this.video.paused && this.end < (this.video.duration || Infinity)) this.#again();
    if (this.video.currentTime < this.start - 0.05) this.video.currentTime = this.start;
    this.#show();
  }

  #again() {
    if (this.isLooping) {
      this.video.currentTime = this.start;
      this.video.play().catch(() => undefined);
    } else {
      this.video.pause();
      this.video.currentTime = Math.min(this.video.currentTime, this.end - 0.5 / this.fps);  // a busy page stops it late
    }
  }

  #tick() {
    this.#keep();
    this.playButton.textContent = this.video.paused ? "▶" : "❚❚";
    this.playButton.setAttribute("aria-label", this.video.paused ? "Play" : "Pause");
    if (!this.video.paused && this.element.isConnected) requestAnimationFrame(() => this.#tick());
  }

  #show() {
    const at = Math.max(0, this.video.currentTime - this.start);
    this.head.style.left = `${100 * Math.min(1, at / this.length)}%`;
    this.frame = Math.floor(at * this.fps + 0.01);
    this.place.textContent = `${at.toFixed(2)} s of ${this.length.toFixed(2)} s · frame ${this.frame}`;
    this.slider.setAttribute("aria-valuenow", at.toFixed(2));
    this.slider.setAttribute("aria-valuetext", `${at.toFixed(1)} seconds, frame ${this.frame}`);
  }

  toggle() {
    if (!this.video.paused) this.video.pause();
    else {
      if (this.video.currentTime >= this.end - 1 / this.fps) this.video.currentTime = this.start;
      this.video.play().catch(() => undefined);
    }
    this.#tick();
  }

  /** @param {number} frames */
  step(frames) {
    this.video.pause();
    this.#show();  // a seek may be under way
    const last = Math.max(0, Math.ceil(this.length * this.fps - 0.01) - 1);
    const frame = Math.min(last, Math.max(0, (this.frame ?? 0) + frames));
    this.video.currentTime = this.start + (frame + 0.5) / this.fps;
    this.#tick();
  }

  loop() {
    this.isLooping = !this.isLooping;
    this.loopButton.setAttribute("aria-pressed", String(this.isLooping));
  }

  /** @param {number} by */
  faster(by) {
    const at = SPEEDS.indexOf(this.speedWanted ?? 1); // a video that loads anew forgets its own
    this.#setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, (at < 0 ? 3 : at) + by))]);
  }

  /** @param {number} speed */
  #setSpeed(speed) {
    this.speedWanted = speed;
    this.video.playbackRate = speed;
    this.speed.value = String(speed);
  }

  /** @param {number} part of the clip */
  #seek(part) {
    this.video.currentTime = this.start + Math.min(this.length - 0.5 / this.fps, Math.max(0, part * this.length));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const box = this.slider.getBoundingClientRect();
    const move = (/** @type {PointerEvent} */ at) => this.#seek((at.clientX - box.left) / box.width);
    move(event);
    this.slider.setPointerCapture(event.pointerId);
    this.slider.addEventListener("pointermove", move);
    this.slider.addEventListener("pointerup", () => this.slider.removeEventListener("pointermove", move), { once: true });
  }

  /** @param {KeyboardEvent} event */
  #slide(event) {
    const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 });
    if (event.key in steps) this.step(steps[event.key]);
    else if (event.key === "Home") this.#seek(0);
    else if (event.key === "End") this.#seek(1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  stop() {
    this.video.pause();
    this.row = null;
  }
}
