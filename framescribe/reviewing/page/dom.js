/** Elements without HTML strings: whatever a caption holds, it is text. */

/**
 * Makes an element.
 * @param {string} name of the tag
 * @param {Record<string, any>} [properties] `on…` are listeners, `class`, `aria-…`, `data-…` and `role` attributes
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false && !key.startsWith("aria-")) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && !key.includes("-") && key !== "list" && key !== "role") /** @type {any} */ (element)[key] = value;
    else element.setAttribute(key === "class" ? "class" : key, value === true && !key.startsWith("aria-") ? "" : String(value));
  }
  if (properties.class) element.className = properties.class;
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => child));
  return element;
}

/**
 * Gives an element other children. What had the focus keeps it: its successor has the same name, counted from the end
 * where several have it, as lists grow at their front.
 * @param {HTMLElement} element
 * @param {...(Node | null)} children
 */
export function redraw(element, ...children) {
  const inside = () => /** @type {HTMLElement[]} */ ([...element.querySelectorAll("button, input, summary")]);
  const name = (/** @type {HTMLElement | undefined} */ each) => each?.title || each?.ariaLabel || each?.textContent;
  const before = inside(), at = before.findIndex((each) => each === document.activeElement);
  element.replaceChildren(...children.filter((child) => child !== null));
  if (at < 0) return;
  const fromEnd = before.slice(at).filter((each) => name(each) === name(before[at])).length, now = inside();
  (now.filter((each) => name(each) === name(before[at])).at(-fromEnd) ?? now[Math.min(at, now.length - 1)])?.focus({ preventScroll: true });
}

/** @param {number} milliseconds @param {(...given: any[]) => void} work */
export function debounced(milliseconds, work) {
  /** @type {number | undefined} */
  let timer;
  const later = (/** @type {any[]} */ ...given) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => work(...given), milliseconds);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** The last part of a path or URL. @param {string} source */
export function nameOf(source) {
  return source.split(/[/\\]/).filter(Boolean).pop() ?? source;
}

/** @param {number | null | undefined} value @param {number} [digits] */
export function number(value, digits = 3) {
  return value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits });
}

/** Whether keys belong to something that is typed in. @param {EventTarget | null} target */
export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("textarea, select, input:not([type=checkbox]):not([type=radio])"));
}
