// @ts-check
/**
 * Every page, in the order of the navigation. A page is a module with `export const page = {title, render(ctx)}` (see `router.js`),
 * and one entry here; it is loaded when it is first shown.
 */

/** @type {import("../router.js").Entry[]} */
export const PAGES = [
  { path: "/executions", nav: "Executions", icon: "M2 3h12M2 8h12M2 13h12", load: () => import("./executions.js") },
];

/** Where the bare address leads. */
export const HOME = "/executions";
