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
