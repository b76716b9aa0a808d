// A field for a number. What stands in it, once the reader has left it, is the number that is used.

/** A number within the limits of its field; the old one where the reader typed something else. */
export function clamp(text, { min, max, old, whole }) {
  const value = Number(text);
  if (String(text).trim() === "" || !Number.isFinite(value)) return old;
  return Math.min(max, Math.max(min, whole ? Math.round(value) : value));
}

/** An input from min to max; a step of 1 asks for whole numbers. old(): the number in use, where none is typed. */
export function numberField({ min, max, step = 1 }, old) {
  const input = Object.assign(document.createElement("input"), { type: "number", min, max, step });
  const value = () => clamp(input.value, { min, max, old: old(), whole: step === 1 });
  const show = () => {
    input.value = value();
  };
  input.addEventListener("change", show); // before the listeners of whoever asked for the field
  input.addEventListener("blur", show); // what is no number is no change
  return { input, value };
}
