// How these pages make elements. Text that anybody may have written (data, ids, names, agents) becomes a text node and
// nothing else: there is no way from here to markup, and `href` takes only places of this page and of this node.

const SVG = "http://www.w3.org/2000/svg";
const HREF = /^(?:#\/|#main$|\/(?!\/))/;

/** Characters that draw nothing, or turn text around (Unicode TR 36): shown by their number, so that none can hide what
 * stands there. Line ends and tabs stay. */
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/**
 * An element. An attribute that is null, undefined or false is left out, a function listens to an event (`onclick`).
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | number | null | undefined | false | Array<unknown>)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "href" && !HREF.test(value)) throw new Error(`no link leads to ${value}`);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter(isShown).map(shown));
  return element;
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

function shown(child) {
  return child instanceof Node ? child : String(child);
}

/** Put `children` in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(isShown).map(shown));
}

/** Foreign text with everything unseen made visible. What should be a text and is none is shown as one. */
export function visible(text) {
  return String(text).replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

/** Say something to whoever cannot see what changed. */
export function announce(text) {
  let region = document.getElementById("said");
  if (!region) {
    region = h("div", { id: "said", role: "status", class: "unseen" });
    document.body.append(region);
  }
  region.textContent = text;
}
