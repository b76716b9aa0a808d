"""What all widgets share in the page, and how it is joined with what each has of its own.

A notebook gives a widget's module no address, so it cannot import what lies beside it; and of styles it takes one file.
So the files stay apart for readers and tests, and are joined here. It knows nothing of what a widget shows.

    base.css         colours that follow the theme, the frame, buttons and fields
    dom.js           elements and drawings, keys, scrolling
    words.js         numbers and tokens as one says them
    traits.js        what the page saves, and what it hears of
    kernel.js        the line to Python: is anybody there?
    number_field.js  a field for a number, held to its limits
    run.js           a run of a model that writes: its settings, and what is said of it
    clock.js         what plays by itself
    curve.js         curves over the steps of a training run
    bpe.js           a tokenizer in the page; slices.js keeps the page awake meanwhile, pieces.js spells its tokens

Reading order: page_of, read_module, read_styles.
"""

import re
from pathlib import Path

_WIDGETS = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.MULTILINE)
_ROOT = ".llm101-widget"  # in base.css: the class of a widget's own root stands there in the end


def page_of(widget: str, *, root: str) -> tuple[str, str]:
    """The module and the styles of the widget in this folder, whose outermost styled element has the class `root`.

    Example:
        >>> module, styles = page_of("layer_grid", root="llm101-grid-root")
        >>> "export default { render };" in module, ".llm101-grid-root [hidden]" in styles
        (True, True)
    """
    return read_module(f"{widget}/widget.js"), read_styles(f"{widget}/widget.css", root=root)


def read_module(path: str) -> str:
    """A file below llm101_widgets and all that it imports as one module: each once, after those that it imports.

    Example:
        >>> module = read_module("inference_stepper/widget.js")
        >>> module.count("export function visible("), "import {" in module
        (1, False)
    """
    files: dict[Path, str] = {}

    def read(file: Path) -> None:
        if file not in files:
            text = file.read_text(encoding="utf-8")
            for beside in _IMPORT.findall(text):
                read((file.parent / beside).resolve())
            files[file] = _IMPORT.sub("", text)

    read(_WIDGETS / path)
    return "\n".join(files.values())


def read_styles(path: str, *, root: str) -> str:
    """base.css for this root, then the file: a widget's styles reach into no other, and its own rules come last.

    Example:
        >>> read_styles("layer_grid/widget.css", root="llm101-grid-root").count("prefers-color-scheme: dark")
        1
    """
    base, own = (_WIDGETS / name for name in ("page/base.css", path))
    return base.read_text(encoding="utf-8").replace(_ROOT, f".{root}") + "\n" + own.read_text(encoding="utf-8")
