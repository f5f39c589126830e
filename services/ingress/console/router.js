// @ts-check
/**
 * Which page is shown. The route stands behind the `#` (`#/executions?status=FAILED`): the server serves one file wherever a proxy
 * has put it, a link can be shared, and what somebody searches for stays out of access logs.
 */

import { queryOf } from "./api.js";

/**
 * @typedef {object} Context what a page is given
 * @property {Record<string, string>} params the named parts of its path
 * @property {URLSearchParams} query
 * @property {AbortSignal} signal aborted when the page is left: hand it to every request, listener and shortcut
 * @property {(title: string) => void} title says in the window what is looked at
 *
 * @typedef {object} Shown
 * @property {Node} node
 * @property {(query: URLSearchParams) => void} [moved] the query changed and the page is still the same; without it, it is shown anew
 *
 * @typedef {object} Page
 * @property {string} title
 * @property {(ctx: Context) => Shown | Promise<Shown>} render
 *
 * @typedef {object} Entry
 * @property {string} path `/executions/:id`; a part that begins with a colon is a parameter
 * @property {string} [nav] its words in the navigation; left out for what is only linked to
 * @property {string} [icon] a path of a 16 × 16 picture
 * @property {() => Promise<{page: Page}>} load
 */

/** The address of a page, for links. @param {string} path @param {Record<string, any>} [query] */
export const to = (path, query = {}) => `#${path}${queryOf(query)}`;

/** Go there. `replace`: no step back leads to where we are now. @param {string} path @param {Record<string, any>} [query] */
export function go(path, query = {}, { replace = false } = {}) {
  if (!replace) location.hash = to(path, query);
  else location.replace(to(path, query));
}

/** The path and the query behind a `#`. @param {string} hash */
export function parsed(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  return { path: path || "/", query: new URLSearchParams(query) };
}

/** The parameters of a path, or null if the pattern is another's. @param {string} pattern @param {string} path */
export function matched(pattern, path) {
  const wanted = pattern.split("/");
  const parts = path.replace(/(.)\/$/, "$1").split("/");
  if (wanted.length !== parts.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [n, part] of wanted.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = unescaped(parts[n] ?? "");
    else if (part !== parts[n]) return null;
  }
  return params;
}

/** @param {string} part */
function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray % is itself
  }
}

/**
 * Show the page of the address, now and whenever it changes.
 * @param {Entry[]} entries @param {{show: (node: Node, path: string) => void, title: (text: string) => void, failed: (error: any) => Node, missing: () => Node}} shell
 */
export function route(entries, shell) {
  let leave = new AbortController();
  let here = "";
  /** @type {Shown | null} */
  let shown = null;

  async function arrive() {
    const { path, query } = parsed(location.hash);
    if (path === here && shown?.moved) return shown.moved(query);
    leave.abort();
    leave = new AbortController();
    here = path;
    shown = null;
    const { signal } = leave;
    const found = await pick(path, query, signal);
    if (signal.aborted) return;
    shown = found;
    shell.show(found.node, path);
  }

  /** @param {string} path @param {URLSearchParams} query @param {AbortSignal} signal @returns {Promise<Shown>} */
  async function pick(path, query, signal) {
    for (const entry of entries) {
      const params = matched(entry.path, path);
      if (!params) continue;
      try {
        const { page } = await entry.load();
        shell.title(page.title);
        return await page.render({ params, query, signal, title: shell.title });
      } catch (error) {
        return { node: shell.failed(error) };
      }
    }
    shell.title("Not found");
    return { node: shell.missing() };
  }

  window.addEventListener("hashchange", arrive);
  arrive();
}
