"""JavaScript in several files, joined into the one module that a widget can have.

A notebook gives a widget's module no address, so it cannot import what lies beside it. The files stay apart for
readers and tests; here their import lines go, and what they would import stands above.
"""

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{[^}]*\} from "\.[^"]*";\n', re.MULTILINE)


def read_modules(*paths: str) -> str:
    """Files below this folder as one module, each after those that it imports.

    Example:
        >>> read_modules("token_playground/bpe.js", "token_playground/pieces.js").count("export function pieces(")
        1
    """
    folder = Path(__file__).parent
    return "\n".join(_IMPORT.sub("", (folder / path).read_text(encoding="utf-8")) for path in paths)
