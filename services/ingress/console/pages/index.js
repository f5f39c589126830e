// @ts-check
/**
 * Every page, in the order of the navigation. A page is a module with `export const page = {title, render(ctx)}` (see `router.js`),
 * and one entry here; it is loaded when it is first shown.
 */

const BREAKABLE = document.documentElement.hasAttribute("data-breakable"); // see breaking/source.js

/** @type {import("../router.js").Entry[]} */
export const PAGES = [
  { path: "/", nav: "Overview", icon: "M2 2h5v5H2zM9 2h5v5H9zM2 9h5v5H2zM9 9h5v5H9z", load: () => import("./overview.js") },
  { path: "/new", nav: "New", icon: "M8 3v10M3 8h10", load: () => import("./new.js") },
  { path: "/executions", nav: "Executions", icon: "M2 3h12M2 8h12M2 13h12", load: () => import("./executions.js") },
  { path: "/executions/:id", load: () => import("./execution.js") },
  { path: "/approvals", nav: "Approvals", icon: "M2 8l4 4 8-8", load: () => import("./approvals.js") },
  { path: "/dead-letters", nav: "Dead letters", icon: "M2 4h12v8H2zM2 4l6 5 6-5", load: () => import("./letters.js") },
  { path: "/schedules", nav: "Schedules", icon: "M3 8a5 5 0 1 0 2-4M5 1v3h3M8 5v3l2 1", load: () => import("./schedules.js") },
  { path: "/waits", nav: "Waits", icon: "M4 2h8M4 14h8M5 2c0 4 6 8 6 12M11 2c0 4-6 8-6 12", load: () => import("./waits.js") },
  { path: "/tools", nav: "Tools", icon: "M10 2a4 4 0 0 0-4 5L2 11l3 3 4-4a4 4 0 0 0 5-4l-3 1-2-2z", load: () => import("./tools.js") },
  { path: "/quota", nav: "Limits", icon: "M2 12a6 6 0 0 1 12 0M8 12l3-4", load: () => import("./limits.js") },
  { path: "/open", nav: "Open a file", icon: "M4 1.500h5l3 3v10H4zM9 1.500v3h3", load: () => import("./open.js") },
  { path: "/break", nav: BREAKABLE ? "Break it" : "", icon: "M9 1L3 9h4l-1 6 6-8H8z", load: () => import("./break.js") },
];

/** Where the bare address leads. */
export const HOME = "/";
