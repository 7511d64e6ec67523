// Shows on a flag's page what the typed percentage would change, before it is saved. Without JavaScript, the page asks
// for confirmation instead.

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("percent-preview");
  const field = document.querySelector("input[name=percent]");
  const seen = document.querySelector("input[name=previewed]");
  const QUIET_MS = 250;

  if (box && field && seen) {
    let timer = 0;
    let asked = 0;

    const show = async () => {
      const value = field.value.trim();
      const number = ++asked;
      if (value === field.defaultValue.trim()) {
        box.replaceChildren();
        box.hidden = true;
        return;
      }
      const answer = await fetch(`${box.dataset.url}?percent=${encodeURIComponent(value)}`).catch(() => null);
      if (number !== asked) return; // the percentage has changed meanwhile
      box.hidden = false;
      if (answer?.ok) {
        box.innerHTML = await answer.text(); // safe, because the service's template escapes all values
        seen.value = value;
      } else {
        box.textContent = answer?.status === 400 ? "A percentage is a number from 0 to 100." : "The preview cannot be read.";
      }
    };

    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(show, QUIET_MS);
    });
  }
});
