// What a widget's two halves share: what the page saves, and what it hears of.
//
// Reading order: save, onChange, saveWhileTyping.

const SAVE_AFTER_MS = 300; // without a key pressed

/** Set traits, here and in Python. */
export function save(model, values) {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
}

/** Do this whenever one of the traits has changed. */
export function onChange(model, names, act) {
  for (const name of names) model.on(`change:${name}`, act);
}

/** Save the text of a field when the reader pauses, or leaves it. Whether that isPending; cancel() ends it. */
export function saveWhileTyping(model, name, field) {
  let timer = 0;

  function cancel() {
    clearTimeout(timer);
    timer = 0;
  }

  function saveNow() {
    cancel();
    if (field.value !== model.get(name)) save(model, { [name]: field.value });
  }

  field.addEventListener("input", () => {
    cancel();
    timer = setTimeout(saveNow, SAVE_AFTER_MS);
  });
  field.addEventListener("change", saveNow);
  return { cancel, isPending: () => timer !== 0 };
}
