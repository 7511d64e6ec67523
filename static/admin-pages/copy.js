// The page that shows a new API key: a button copies the key. If the browser does not allow this, the key is selected.

const button = document.getElementById("copy-key");
const key = document.getElementById("issued-key");
const copied = document.getElementById("copied");

if (button && key) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    key.select();
    try {
      await navigator.clipboard.writeText(key.value);
      copied.textContent = "Copied.";
    } catch {
      copied.textContent = "Press Ctrl+C (⌘C) to copy: the key is selected.";
    }
  });
}
