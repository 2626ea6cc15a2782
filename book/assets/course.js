// Sphinx fetches a summary for each search result; on a page opened from disk no fetch is allowed.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What scrolls in a box of its own must be in reach of the keyboard, and be seen to go on.
const BOXES =
  '.bd-article :is(div.math, mjx-container[display="true"], pre, .pst-scrollable-table-container)';

const scrolls = (box) => box.scrollWidth > box.clientWidth + 1; // which are rounded
const goesOn = (box) => box.scrollLeft + box.clientWidth < box.scrollWidth - 1;

function mark({ target }) {
  target.classList.toggle("goes-on", goesOn(target));
}

// Also called when folded code opens. All is read before anything is written: one layout.
const sizes = new ResizeObserver((entries) => {
  const boxes = entries.map(({ target }) => target);
  const wide = boxes.map(scrolls);
  const more = boxes.map(goesOn);
  boxes.forEach((box, i) => {
    if (wide[i]) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    box.classList.toggle("goes-on", more[i]);
    box.onscroll = wide[i] ? mark : null;
  });
});

addEventListener("load", () => {
  for (const box of document.querySelectorAll(BOXES)) sizes.observe(box);
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
