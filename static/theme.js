// Light or dark: the visitor's choice, before anything is painted; without one the system decides (look.css).
// A button with `data-theme-toggle` switches.

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
