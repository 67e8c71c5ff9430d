/** The page: what is open, what was found, what is saved, who else is here. */
import { ApiError, get, post } from "./api.js";
import { Blind } from "./blind.js";
import { openBulk } from "./bulk.js";
import { h, nameOf } from "./dom.js";
import { Filters } from "./filters.js";
import { Focus } from "./focus.js";
import { Grid } from "./grid.js";
import { dropKeys, setKeys, showKeys } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Results } from "./results.js";

const POLL_MS = 2000, POLL_HIDDEN_MS = 10000, NOTICE_MS = 8000;

export class Page {
  /** @param {any} folder as `/api/folder` tells it */
  constructor(folder) {
    this.folder = folder;
    this.id = crypto.randomUUID();
    this.reviewer = localStorage.getItem("framescribe:reviewer") || folder.reviewer;
    this.outbox = new Outbox(folder.name);
    this.results = new Results();
    this.filters = new Filters({ onchange: (query) => this.find(query) });
    /** @type {{reviewer: string, clip_id: string}[]} */
    this.others = [];
    this.element = /** @type {HTMLElement} */ (document.getElementById("view"));
    this.lost = "";  // why the server cannot be asked
    this.notices = /** @type {HTMLElement} */ (document.getElementById("notices"));
    this.views = { focus: new Focus(this), grid: new Grid(this), blind: new Blind(this) };
    /** @type {"focus" | "grid" | "blind"} */
    this.view = "focus";
    /** @type {Record<string, HTMLElement>} */
    this.tabs = {};
    this.#bar();
    this.outbox.addEventListener("change", () => this.#saving());
    this.outbox.addEventListener("saved", () => this.changed());
    window.addEventListener("pagehide", () => post("/api/changes", { page: this.id, is_leaving: true }, true).catch(() => undefined));
    window.addEventListener("beforeunload", (event) => this.outbox.waiting.length && event.preventDefault());
  }

  #bar() {
    document.title = `${nameOf(this.folder.name)} – review`;
    this.state = h("button", { class: "state quiet", onclick: () => this.#showRefused() });
    this.found = h("output", { class: "found" });
    this.who = h("button", { class: "quiet", title: "Whose decisions they are", onclick: () => this.#rename() }, this.reviewer);
    this.here = h("span", { class: "here" });
    this.fresh = h("button", { class: "fresh", hidden: true, onclick: () => this.find(this.filters.query) });
    for (const [name, text] of [["focus", "Clip"], ["grid", "Grid"], ["blind", "Compare"]]) this.tabs[name] = h("button", { onclick: () => this.open(/** @type {any} */ (name)) }, text);
    this.bulkButton = h("button", { onclick: () => this.#bulk(), title: "Bulk edit (b)" }, "Edit all…");
    const report = h("a", { href: "/report", target: "_blank", rel: "noopener", title: "Report, in a new tab (o)" }, "Report");
    const bar = /** @type {HTMLElement} */ (document.getElementById("bar"));
    bar.append(h("div", { class: "row" }, h("h1", {}, nameOf(this.folder.name)), h("nav", { class: "row", "aria-label": "Views" }, ...Object.values(this.tabs), report), this.found, this.fresh, h("span", { class: "gap" }), this.here, this.who, this.state,
      this.bulkButton, h("button", { "aria-label": "Keys", title: "Keys (?)", onclick: showKeys }, "?")), this.filters.element);
    setKeys("everywhere", [["?", "show the keys", showKeys], ["/", "search", () => this.filters.search.focus()], ["s", "write a condition in SQL", () => this.filters.sql.focus()], ["g", "grid", () => this.open("grid")], ["f", "one clip", () => this.open("focus")],
      ["c", "compare two captions blind", () => this.open("blind")], ["b", "bulk edit", () => this.#bulk()], ["o", "report, in a new tab", () => report.click()], ["R", "look for the rows anew", () => this.find(this.filters.query)]]);
    this.#saving();
  }

  /** Goes where a link leads, the page's own or one that is pasted while it is open. @param {string} hash */
  follow(hash) {
    const given = new URLSearchParams(hash.slice(1)), view = given.get("view");
    const query = { search: given.get("q") ?? "", where: given.getAll("where"), order: given.get("order") ?? "" };
    this.filters.set(query, this.folder);
    return this.find(query, Number(given.get("at") ?? 0), view === "grid" || view === "blind" ? view : "focus");
  }

  /** @param {{search: string, where: string[], order: string}} query @param {number | "here"} [place] @param {"focus" | "grid" | "blind"} [view] */
  async find(query, place = 0, view) {
    const asked = (this.asked = Symbol("query"));
    try {
      await this.results.find(query);
      if (asked !== this.asked) return;
      this.filters.say("");
    } catch (error) {
      if (asked === this.asked) this.filters.say(error instanceof Error ? error.message : String(error));
      return;
    }
    this.fresh.hidden = true;
    this.seenRows = this.results.loaded;
    this.found.textContent = `${this.results.count.toLocaleString("en")} of ${Number(this.folder.total).toLocaleString("en")}`;
    await this.open(view ?? this.view, place === "here" ? this.#here : place);
  }

  /** Where what is looked at stands among the rows that are found now. */
  get #here() {
    const { focus, grid } = this.views, row = focus.row;
    if (this.view === "grid") return grid.at;
    const at = row ? this.results.placeOf(row.clip_id, row.prompt_index) : -1;
    return at >= 0 ? at : focus.place ?? 0;
  }

  /** @param {"focus" | "grid" | "blind"} name @param {number} [place] */
  async open(name, place) {
    const before = this.view, at = place ?? this.place ?? 0;
    if (name !== this.view || !this.element.firstElementChild?.matches(".focus, .grid, .blind")) {
      this.views[before].leave();
      this.view = name;
      dropKeys("clip", "grid", "comparison");
      const view = this.views[name];
      this.element.replaceChildren(view.element);
      view.keys();
    }
    for (const [each, tab] of Object.entries(this.tabs)) tab.setAttribute("aria-pressed", String(each === name));
    document.body.dataset.view = name;
    this.#remember();
    if (name === "blind") return this.views.blind.show();
    if (!this.results.count) return this.#nothing();
    if (name === "grid" && name !== before) this.results.chunks.clear(), await this.tried(this.results.fetch(at, at + 1));  // decided on since
    if (name !== this.view) return;  // another one was opened meanwhile
    if (!this.views[name].element.isConnected) this.element.replaceChildren(this.views[name].element);
    await this.tried(this.views[name].show(Math.min(at, this.results.count - 1)));
  }

  /** Says why something failed. @param {Promise<any>} work */
  async tried(work) {
    try {
      await work;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(error.message);
    }
  }

  #nothing() {
    const isEmpty = !this.folder.total;
    this.element.replaceChildren(h("p", { class: "hint focus" }, isEmpty ? (this.folder.is_complete ? "There are no captions yet. They appear here as they are made." : "Reading the captions…") : "No caption fits these conditions."));
  }

  /** A view shows this row now. @param {any} row */
  moved(row) {
    this.clip = row.clip_id;
    this.place = this.view === "grid" ? this.views.grid.at : this.views.focus.place ?? 0;
    this.#remember(row);
  }

  /** @param {any} [row] */
  #remember(row) {
    const given = new URLSearchParams({ view: this.view, ...(this.filters.query.search && { q: this.filters.query.search }), ...(this.filters.query.order && { order: this.filters.query.order }) });
    for (const each of this.filters.query.where) given.append("where", each);
    if (row) given.set("clip", row.clip_id), given.set("prompt", row.prompt_index), given.set("at", String(this.place ?? 0));
    history.replaceState(null, "", `#${given}`);
  }

  /** Sends a decision; returns its id. @param {any} decision */
  decide(decision) {
    try {
      return this.outbox.add({ reviewer: this.reviewer, ...decision });
    } catch {
      this.say("The browser's storage is full: this decision was not taken.");
      return "";
    }
  }

  /** Decisions were saved, here or by others: what is shown is read again. */
  async changed() {
    if (this.renewing) return void (this.isRenewWanted = true);
    this.renewing = true;
    try {
      this.folder = await get("/api/folder");  // first: by its number the next poll sees what changes from here on
      this.results.chunks.forEach((_, chunk, all) => this.view === "focus" || all.delete(chunk));
      if (this.view === "focus" && this.results.count) await this.views.focus.refresh();
      if (this.view === "grid") this.views.grid.draw(), await this.results.fetch(this.views.grid.at, this.views.grid.at + 1), this.views.grid.refresh();
      this.filters.offer(this.folder);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    } finally {
      this.renewing = false;
      if (this.isRenewWanted) this.isRenewWanted = false, this.changed();
    }
  }

  /** Names of other reviewers who look at a clip. @param {string} clip */
  lookersAt(clip) {
    return [...new Set(this.others.filter((each) => each.clip_id === clip).map((each) => each.reviewer))];
  }

  async poll() {
    try {
      const found = await post("/api/changes", { page: this.id, reviewer: this.reviewer, clip_id: this.clip ?? "", since: this.position ?? null });
      const lookersBefore = JSON.stringify(this.others);
      this.others = found.others;
      const isFirst = this.position === undefined || found.position < this.position;
      this.position = found.position;
      this.#others(isFirst ? [] : found.decisions, lookersBefore);
      this.#rows(found);
      if (this.lost) this.lost = "", this.outbox.send(), this.say("The server answers again.");
    } catch (error) {
      const lost = `${error instanceof Error ? error.message : error} Decisions wait here and are sent later.`;
      if (lost !== this.lost) this.lost = lost, this.say(lost);
    }
    this.#saving();
    setTimeout(() => this.poll(), document.hidden ? POLL_HIDDEN_MS : POLL_MS);
  }

  /** @param {any[]} decisions @param {string} lookersBefore */
  #others(decisions, lookersBefore) {
    const theirs = decisions.filter((each) => each.reviewer !== this.reviewer);
    const here = theirs.findLast((each) => each.clip_id === this.clip);
    if (here) this.say(`${here.reviewer} decided on this clip just now: ${here.action}${here.reason ? `, ${here.reason}` : ""}.`);
    const names = [...new Set(this.others.map((each) => each.reviewer))];
    this.here.textContent = names.length ? `Also here: ${names.join(", ")}` : "";
    if (JSON.stringify(this.others) !== lookersBefore) this.view === "focus" ? this.views.focus.row && this.views.focus.refresh() : this.view === "grid" && this.views.grid.refresh();
  }

  /** @param {any} found */
  #rows(found) {
    if (found.problem && found.problem !== this.problem) this.say(found.problem);
    this.problem = found.problem;
    if (found.is_complete && found.generation !== this.folder.generation) this.changed();  // rows, scores or decisions
    this.folder = { ...this.folder, total: found.total, is_complete: found.is_complete };
    if (!found.is_complete) this.found.textContent = `${found.total.toLocaleString("en")} read so far…`;
    if (found.is_complete && this.isReading || found.total && !this.seenRows) void this.find(this.filters.query, "here");
    else if (found.is_complete && found.total > (this.seenRows ?? 0)) {
      this.fresh.hidden = false;
      this.fresh.textContent = `${(found.total - (this.seenRows ?? 0)).toLocaleString("en")} new – show`;
    }
  }

  /** What is looked at was found before all rows were read. */
  get isReading() {
    return !this.results.isComplete;
  }

  #saving() {
    const { waiting, refused } = this.outbox, isLost = this.lost || this.outbox.problem;
    this.state.className = `state quiet ${refused.length ? "reject" : isLost && waiting.length ? "stale" : "accept"}`;
    this.state.textContent = refused.length ? `${refused.length} not saved` : waiting.length ? `${isLost ? "no connection, " : ""}${waiting.length} waiting` : this.lost ? "no connection" : "saved";
    this.state.title = this.outbox.problem ?? "Decisions are on the disk of the server";
  }

  #showRefused() {
    const { refused } = this.outbox;
    const problem = this.lost || this.outbox.problem;
    if (!refused.length) return problem ? this.say(problem) : undefined;
    const dialog = h("dialog", { "aria-label": "Decisions that were not saved", onclose: () => dialog.remove() }, h("h2", {}, "Not saved"), ...refused.map((each) => h("section", {}, h("p", { class: "message" }, each.refused), h("p", {}, each.decision.action),
      each.decision.text ? h("textarea", { readOnly: true, value: each.decision.text, "aria-label": "The text" }) : null, h("button", { onclick: (/** @type {Event} */ event) => (this.outbox.drop(each.key), /** @type {HTMLElement} */ (event.target).closest("section")?.remove()) }, "Forget it"))),
      h("form", { method: "dialog" }, h("button", {}, "Close")));
    document.body.append(dialog);
    dialog.showModal();
  }

  #rename() {
    const name = h("input", { type: "text", value: this.reviewer, maxLength: 100, "aria-label": "Your name", autofocus: true });
    const dialog = h("dialog", { "aria-label": "Your name", onclose: () => dialog.remove() }, h("form", { method: "dialog", onsubmit: () => {
      this.reviewer = name.value.trim() || this.folder.reviewer;
      localStorage.setItem("framescribe:reviewer", this.reviewer);
      this.who.textContent = this.reviewer;
    } }, h("h2", {}, "Whose decisions are these?"), name, h("button", {}, "Save")));
    document.body.append(dialog);
    dialog.showModal();
  }

  #bulk() {
    openBulk(this, this.view === "grid" ? [...this.views.grid.selected.values()] : []);
  }

  /** @param {number} count */
  selectionChanged(count) {
    this.bulkButton.textContent = count ? `Edit ${count} selected…` : "Edit all…";
  }

  /**
   * Says something: for a while, or with a button to act on it until it is closed.
   * @param {string} text @param {string} [action] @param {() => void} [work]
   */
  say(text, action, work) {
    const close = () => (notice.contains(document.activeElement) && this.element.focus({ preventScroll: true }), notice.remove());
    const notice = h("p", { class: action ? "notice lasting" : "notice", tabIndex: -1, onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && close() }, text,
      action ? h("button", { onclick: () => (close(), work?.()) }, action) : null, h("button", { class: "quiet", "aria-label": "Close", onclick: close }, "×"));
    for (const each of [...this.notices.querySelectorAll(action ? ".lasting" : ".notice:not(.lasting)")].slice(0, -2)) each.remove();
    this.notices.append(notice);
    if (action) return notice.focus();  // so that its button is one Tab away
    const fade = () => (notice.matches(":hover, :focus-within") ? setTimeout(fade, NOTICE_MS) : notice.remove());
    setTimeout(fade, NOTICE_MS);
  }
}

async function open() {
  const view = /** @type {HTMLElement} */ (document.getElementById("view"));
  try {
    const page = new Page(await get("/api/folder"));
    window.addEventListener("hashchange", (event) => page.follow(new URL(event.newURL).hash));
    page.outbox.send();
    await page.follow(location.hash);
    page.poll();
  } catch (error) {
    view.replaceChildren(h("p", { class: "message", role: "alert" }, error instanceof Error ? error.message : String(error)));
    throw error;
  }
}

open();
