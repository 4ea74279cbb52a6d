// Where it begins: which page the fragment of the address names, and what is around all of them.
//
// Pages are `#/blocks/7`, `#/records/ID` and so on. A fragment is never sent, so the node serves one file at `/`, and
// its API keeps all paths for itself.

import { announce, fill, h } from "./dom.js";
import { ask, Problem } from "./node.js";
import { notice } from "./parts.js";

/** By the first part of the path: who shows it. Loaded when it is looked at first. */
const VIEWS = {
  "": () => import("./views/overview.js"),
  blocks: () => import("./views/blocks.js"),
  records: () => import("./views/records.js"),
  post: () => import("./views/post.js"),
  peers: () => import("./views/peers.js"),
  forks: () => import("./views/forks.js"),
  lab: () => import("./views/lab.js"),
  search: () => import("./views/search.js"),
  api: () => import("./views/api.js"),
};

const main = document.getElementById("main");
let leaving = new AbortController();
let isFirst = true;

/** What a view is given: the rest of its path, its parameters, the network, and a signal that ends with it. */
async function go() {
  if (location.hash === "#main") return main.focus();
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [first, ...rest] = path.split("/").map(decoded);
  markCurrent(first);
  main.setAttribute("aria-busy", "true");
  try {
    const view = VIEWS[Object.hasOwn(VIEWS, first) ? first : "search"];
    const [{ show }, network] = await Promise.all([view(), theNetwork()]);
    const given = Object.hasOwn(VIEWS, first) ? { rest, parameters: new URLSearchParams(query ?? "") } : lost(path);
    const content = await show({ ...given, network, signal });
    if (signal.aborted) return;
    fill(main, content);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    fill(main, h("h1", {}, "That did not work"), notice(error));
    if (!(error instanceof Problem)) reportError(error);
  }
  main.removeAttribute("aria-busy");
  const title = main.querySelector("h1")?.textContent ?? "Tallystick";
  document.title = first === "" ? "Tallystick" : `${title} · Tallystick`;
  if (!isFirst) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
    announce(title);
  }
  isFirst = false;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function lost(path) {
  return { rest: [], parameters: new URLSearchParams({ q: path }) };
}

function markCurrent(first) {
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${first}`) {
      link.setAttribute("aria-current", "page");
      const [place, row] = [link, link.closest("nav")].map((element) => element.getBoundingClientRect());
      link.closest("nav").scrollLeft += place.left - row.left - (row.width - place.width) / 2; // a phone's is too short
    } else link.removeAttribute("aria-current");
  }
}

// --- the network ----------------------------------------------------------------------------------

let known = null;

/** Kind, name and id of the network: they never change. */
async function theNetwork() {
  if (known === null) {
    const status = await ask("/status");
    known = status.network;
    fill(
      document.getElementById("network"),
      `Tallystick ${status.version}, a node of the ${known.kind} network `,
      h("bdi", {}, known.name),
    );
    for (const link of document.querySelectorAll('[data-only="records"]')) {
      link.parentElement.hidden = known.kind === "classic";
    }
  }
  return known;
}

document.querySelector("form.search").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = document.getElementById("query").value.trim();
  if (query) location.hash = `#/search?q=${encodeURIComponent(query)}`;
});
addEventListener("hashchange", go);
go();
