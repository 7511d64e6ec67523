// What the parts of the page share: elements, words, problems, the clipboard.

export const $ = (id) => document.getElementById(id);

/** The page's words in the visitor's language; {name} stands for what is filled in. */
const words = JSON.parse($("page-words").textContent);

/**
 * @param {string} name
 * @param {Record<string, string | number>} [values]
 */
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export const milliseconds = (ms) => `${Math.max(0, Math.round(ms))} ms`;

const NEEDS_KEY = ["missing_credentials", "invalid_api_key"];

/**
 * Show a problem beside what it is about, or nothing. One with the key is shown where the key is asked for.
 * @param {string} id
 * @param {{code?: string, message: string} | null} problem
 */
export function showProblem(id, problem) {
  const isTheKeys = NEEDS_KEY.includes(problem?.code ?? "");
  if (isTheKeys) {
    askForKey();
    write("key-problem", problem);
    $("key").focus();
  }
  write(id, isTheKeys ? null : problem);
}

export function askForKey() {
  $("key-form").hidden = false;
}

function write(id, problem) {
  $(id).hidden = !problem;
  $(id).textContent = problem?.message ?? "";
}

/** What a button copies; its label says whether it worked. */
export function copies(button, element) {
  const label = button.textContent;
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(element.innerText);
      button.textContent = say("copied");
    } catch {
      // Without permission, or on a page that is not secure: the visitor copies what is now selected.
      getSelection().selectAllChildren(element);
      button.textContent = say("press_ctrl_c");
    }
    setTimeout(() => (button.textContent = label), 1500);
  };
}

/** One of a group of buttons is pressed at a time. */
export function chooses(buttons, onChoice) {
  for (const button of buttons) {
    button.onclick = () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      onChoice(button);
    };
  }
}
