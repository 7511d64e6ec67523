// Gives names to fields that the admin's theme leaves without one, for screen readers: the inputs in tables of rows,
// and the search fields of choosers.

const nameOf = (text) => text.replace(/\s+/g, " ").trim();

function nameRows(root) {
  for (const cell of root.querySelectorAll(".tabular td[data-label]")) {
    for (const field of cell.querySelectorAll("input:not([type=hidden], [aria-label]), select:not([aria-label]), textarea:not([aria-label])")) {
      if (!field.labels?.length) field.setAttribute("aria-label", nameOf(cell.dataset.label));
    }
  }
}

function nameChoosers(root) {
  for (const field of root.querySelectorAll(".select2-search__field:not([aria-label])")) {
    const select = field.closest(".select2-container")?.previousElementSibling;
    const label = select?.labels?.[0];
    field.setAttribute("aria-label", label ? nameOf(label.textContent) : "Search");
  }
  for (const list of root.querySelectorAll("ul.select2-selection__rendered:not([role])")) {
    list.setAttribute("role", "group"); // besides its items, it contains a button that removes all of them
  }
  for (const item of root.querySelectorAll("ul.select2-selection__rendered > li:not([role])")) {
    item.setAttribute("role", "none");
  }
  for (const tip of root.querySelectorAll("span.help-tooltip[aria-label]:not([role])")) tip.setAttribute("role", "img");
}

function name() {
  nameRows(document);
  nameChoosers(document);
}

addEventListener("load", () => {
  name();
  let waiting = 0;
  new MutationObserver(() => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(name);
  }).observe(document.body, { childList: true, subtree: true });
});
