// The keys of the open view, and the keys of all views.
// The rule: a key does nothing in a text field or in a dialog.

/** @typedef {Record<string, () => void>} Keys a key, or two keys with a space between -> its action */

/** @type {Keys[]} the innermost view last */
const layers = [];
let before = "";
let beforeAt = 0;
const TOGETHER_MS = 1000;

/**
 * Add keys; the returned function removes them.
 * @param {Keys} keys
 */
export function addKeys(keys) {
  layers.push(keys);
  return () => {
    const at = layers.indexOf(keys);
    if (at >= 0) layers.splice(at, 1);
  };
}

/** @param {EventTarget | null} target */
function typing(target) {
  return target instanceof HTMLElement && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable);
}

export function listenToKeys() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const target = event.target;
    if (typing(target) && !(target instanceof HTMLInputElement && target.type === "checkbox")) {
      if (event.key === "Escape" && target instanceof HTMLElement) target.blur();
      return;
    }
    if (event.key === "Enter" && target instanceof HTMLElement && target.closest("a, button, summary")) return;
    const both = event.timeStamp - beforeAt < TOGETHER_MS ? `${before} ${event.key}` : "";
    before = event.key;
    beforeAt = event.timeStamp;
    for (const name of [both, event.key]) {
      const found = name && [...layers].reverse().find((keys) => keys[name]);
      if (found) {
        event.preventDefault();
        found[name]?.();
        return;
      }
    }
  });
}
