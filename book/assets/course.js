// Sphinx fetches a summary for each search result; on a page opened from disk no fetch is allowed.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What scrolls in a box of its own must be in reach of the keyboard.
const BOXES = ".bd-article :is(div.math, mjx-container, pre, .pst-scrollable-table-container)";

function letKeyboardScroll() {
  for (const box of document.querySelectorAll(BOXES)) {
    if (box.scrollWidth > box.clientWidth && box.clientWidth > 0) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", () => {
  (window.MathJax?.startup.promise ?? Promise.resolve()).then(letKeyboardScroll);
  addEventListener("resize", letKeyboardScroll);
});

// The theme's buttons say in their HTML what they do. The page's policy leaves that to scripts.
const ACTIONS = { "toggleFullScreen()": () => toggleFullScreen(), "window.print()": () => print() };

for (const button of document.querySelectorAll("[data-onclick]")) {
  button.addEventListener("click", ACTIONS[button.dataset.onclick]);
}

// Paper is light, whatever the screen is.
const page = document.documentElement;
let onScreen;
addEventListener("beforeprint", () => {
  onScreen = page.dataset.theme;
  page.dataset.theme = "light";
});
addEventListener("afterprint", () => {
  page.dataset.theme = onScreen;
});
