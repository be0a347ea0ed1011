// A table that is wider than the page scrolls, so the keyboard must reach it; the theme does this for code only.
function makeWideTablesReachable() {
  for (const table of document.querySelectorAll("table.dataframe")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
}
addEventListener("load", makeWideTablesReachable);
addEventListener("resize", makeWideTablesReachable);
