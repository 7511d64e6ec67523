// Applies the visitor's choice of a light or dark theme before the page is painted. Without a choice, the theme of the
// system applies (look.css). A button with `data-theme-toggle` switches the theme.

(() => {
  const KEPT = "voice-theme";
  const root = document.documentElement;
  const kept = localStorage.getItem(KEPT);
  if (kept) root.dataset.theme = kept;
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    localStorage.setItem(KEPT, root.dataset.theme);
  });
})();
