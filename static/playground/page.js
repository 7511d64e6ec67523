// Functions that all parts of the page use: elements, texts, problems, the clipboard.

export const $ = (id) => document.getElementById(id);

/** The texts of the page in the visitor's language. A placeholder such as {name} is replaced by a value. */
const words = JSON.parse($("page-words").textContent);

/**
 * Return a text of the page.
 * @param {string} name
 * @param {Record<string, string | number>} [values] the values of the placeholders
 */
export function say(name, values = {}) {
  return words[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

export const milliseconds = (ms) => `${Math.max(0, Math.round(ms))} ms`;

const NEEDS_KEY = ["missing_credentials", "invalid_api_key"];

/**
 * Show a problem in the element `id`, or hide that element. A problem with the key is shown beside the key's field.
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

/** Make a button copy the text of an element. The button's label then says whether this worked. */
export function copies(button, element) {
  const label = button.textContent;
  button.onclick = async () => {
    try {
      await navigator.clipboard.writeText(element.innerText);
      button.textContent = say("copied");
    } catch {
      // The browser does not allow copying: no permission, or no secure page. The visitor copies the selected text.
      getSelection().selectAllChildren(element);
      button.textContent = say("press_ctrl_c");
    }
    setTimeout(() => (button.textContent = label), 1500);
  };
}

/** Make a group of buttons of which exactly one is pressed at a time. */
export function chooses(buttons, onChoice) {
  for (const button of buttons) {
    button.onclick = () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      onChoice(button);
    };
  }
}
