// The tree of continuations: which way leads to a node, where it stands in the picture.
//
// A node is {parent, token_id, bytes, over, logprob, ...}; its number is its place in the list. The first is the end of
// the prompt, and every other stands behind its parent. bytes is a string with a character for each byte.

/** The nodes from the first after the prompt to this one. */
export function pathTo(nodes, at) {
  const path = [];
  for (; at > 0; at = nodes[at].parent) path.unshift(at);
  return path;
}

export const childrenOf = (nodes, at) => [...nodes.keys()].filter((i) => nodes[i].parent === at);

/** Column (how deep) and row of each node: its first child stands beside it, every other below all before. */
export function places(nodes) {
  const at = nodes.map(() => ({ column: 0, row: 0 }));
  let lastRow = 0;
  (function put(i) {
    childrenOf(nodes, i).forEach((child, nth) => {
      at[child] = { column: at[i].column + 1, row: nth ? ++lastRow : at[i].row };
      put(child);
    });
  })(0);
  return at;
}

/** Where an arrow key leads; undefined if it is no arrow key. back: the node of each that was visited last. */
export function walk(nodes, at, key, back = {}) {
  const siblings = childrenOf(nodes, nodes[at].parent), nth = siblings.indexOf(at);
  return {
    ArrowLeft: Math.max(0, nodes[at].parent),
    ArrowRight: back[at] ?? childrenOf(nodes, at)[0] ?? at,
    ArrowUp: siblings[nth - 1] ?? at,
    ArrowDown: siblings[nth + 1] ?? at,
    Home: 0,
  }[key];
}
