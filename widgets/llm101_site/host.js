// What anywidget is in Jupyter, on a page that has neither: the traits of a widget, and a place to show it.
//
// A saved widget is what page.py makes of it: {state, buffers}; its JavaScript and its styles are in the state.
// Reading order: showAll, mount, traitsOf, makeModel.

/** Show every widget of a page that page.py has written, each in its own place. */
export async function showAll(document) {
  const places = document.querySelectorAll(".llm101-place");
  const saved = JSON.parse(document.querySelector('script[type="application/json"]').textContent);
  const show = (one, i) => mount(one, places[i]).catch((failure) => {
    places[i].textContent = `This widget cannot be shown here: ${failure.message}`;
  }); // prettier-ignore
  await Promise.all(saved.map(show));
}

/**
 * Show a saved widget in an element.
 *
 * send(message): gets what the widget asks of Python; it may throw. Left out: nobody hears it, and nobody answers.
 * Returns what takes the widget away again.
 */
export async function mount(saved, el, send = () => {}) {
  const { _esm, _css, ...traits } = traitsOf(saved);
  const address = URL.createObjectURL(new Blob([_esm], { type: "text/javascript" }));
  const { default: widget } = await import(address).finally(() => URL.revokeObjectURL(address));
  const styles = document.createElement("style"), place = document.createElement("div");
  styles.textContent = _css ?? "";
  el.replaceChildren(styles, place);
  const cleanUp = await widget.render({ model: makeModel(traits, send), el: place });
  return () => (cleanUp?.(), el.replaceChildren());
}

/** The traits of a saved widget: bytes lie in `buffers`, each with its path in `state`, and come as DataViews. */
export function traitsOf({ state, buffers }) {
  const traits = structuredClone(state);
  for (const { path, data } of buffers) {
    const holder = path.slice(0, -1).reduce((part, name) => part[name], traits);
    holder[path.at(-1)] = new DataView(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
  }
  return traits;
}

/** anywidget's model as far as a page needs it. What is set stays in the page: there is nobody to save it for. */
export function makeModel(traits, send) {
  const listeners = new Map(); // event -> what is called, in order

  return {
    send,
    get: (name) => traits[name],
    set(name, value) {
      if (Object.is(traits[name], value)) return;
      traits[name] = value;
      for (const act of listeners.get(`change:${name}`) ?? []) act();
    },
    save_changes() {},
    on: (event, act) => void listeners.set(event, [...(listeners.get(event) ?? []), act]),
    off: (event, act) => void listeners.set(event, (listeners.get(event) ?? []).filter((one) => one !== act)),
  };
}
