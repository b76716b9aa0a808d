"""JavaScript in several files, joined into the one module that a widget can have.

A notebook gives a widget's module no address, so it cannot import what lies beside it. The files stay apart for
readers and tests; here their import lines go, and what they would import stands above.
"""

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.MULTILINE)


def read_modules(*paths: str) -> str:
    """Files below this folder as one module: each once, after those that it imports, named here or not.

    Example:
        >>> read_modules("token_playground/pieces.js", "inference_stepper/tree.js").count("export function visible(")
        1
    """
    files: dict[Path, str] = {}

    def read(file: Path) -> None:
        if file not in files:
            text = file.read_text(encoding="utf-8")
            for beside in _IMPORT.findall(text):
                read((file.parent / beside).resolve())
            files[file] = _IMPORT.sub("", text)

    for path in paths:
        read(Path(__file__).resolve().parent / path)
    return "\n".join(files.values())
