// What a page is made of: elements and drawings, keys, scrolling. Knows nothing of what a widget shows.
//
// Reading order: makers, then onEnter, tokenStep and consume (keys), scrolled and keepingEnd.

/**
 * How one widget makes its elements.
 *
 * Returns make(tag, classes, properties, children) and draw(tag, attributes, children), which is for SVG; classes are
 * words, and each gets the prefix, unless it begins with llm101- as those of base.css do.
 */
export function makers(prefix) {
  const full = (name) => (name.startsWith("llm101-") ? name : `${prefix}-${name}`);
  const inFull = (classes) => classes.split(" ").map(full).join(" ");

  function make(tag, classes = "", properties = {}, children = []) {
    const node = document.createElement(tag);
    if (classes) node.className = inFull(classes);
    Object.assign(node, properties);
    if (tag === "select" || properties.type === "range" || properties.role === "listbox")
      node.dataset.lmSuppressShortcuts = "true"; // JupyterLab takes arrow keys otherwise
    node.append(...children);
    return node;
  }

  function draw(tag, { class: classes, ...attributes } = {}, children = []) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    if (classes) node.setAttribute("class", inFull(classes));
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  return { make, draw };
}

/** What Enter does in a field for a text; with Shift it begins a new line, as ever. */
export function onEnter(field, act) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    act();
  });
}

/** How many tokens further a key leads, walking along them; undefined if it is no such key. */
export function tokenStep(key) {
  return { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, PageDown: 50, PageUp: -50,
    Home: -Infinity, End: Infinity }[key]; // prettier-ignore
}

/** A key that did something here does nothing else: the page does not scroll, nor does the notebook take it. */
export function consume(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** How far to scroll until what starts there is seen whole, no further than needed; names: what covers the start. */
export function scrolled(at, { start, size }, { names = 0, room }) {
  return Math.min(start - names, Math.max(at, start + size - room));
}

const NEAR_PX = 40; // from the end

/** Change what scrolls; who has its end in view keeps it in view. */
export function keepingEnd(node, change) {
  const isNear = node.scrollHeight - node.scrollTop - node.clientHeight < NEAR_PX;
  change();
  if (isNear) node.scrollTop = node.scrollHeight;
}
