"""TokenizerPlayground: type or paste, and see the tokens of several tokenizers side by side.

It takes any tokenizers with a `name`, a `vocab_size`, a `pattern` (how text is cut, a regular expression as tiktoken
has it), `ranks` (bytes -> id) and `tokens(text) -> list of bytes`. The page gets those that are shown, and then needs
no kernel.
"""

from collections.abc import Iterable
from html import escape
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.page import page_of
from llm101_widgets.token_playground.packed_ranks import packed_ranks

TEXT = "The tokenizer knows the word “the”, but not “Rumpelstiltskin”.\n  2 + 2 = 4, 1234567; naïve, 東京, 👩‍🔬!"
STYLE = "padding:1px 3px;border:1px solid #777;border-radius:3px;white-space:pre-wrap"


class TokenizerPlayground(anywidget.AnyWidget):
    """Tokens coloured and counted, with their ids, bytes and cost; what cannot be seen is made visible."""

    _esm, _css = page_of("token_playground", root="llm101-playground-root")
    # the reader sets, here or in the page: the text, whose tokens are shown, dollars per million tokens
    text, shown, price = t.Unicode().tag(sync=True), t.List().tag(sync=True), t.Float().tag(sync=True)
    # the page reads: all names, and the vocabularies (see packed_ranks) of those that were ever shown
    names, vocabularies = t.List().tag(sync=True), t.Dict().tag(sync=True)

    def __init__(self, tokenizers: Iterable[Any], *, text: str = TEXT, shown: Iterable[str] | None = None,
                 price: float = 1.0) -> None:  # fmt: skip
        self._tokenizers = {tokenizer.name: tokenizer for tokenizer in tokenizers}
        if not self._tokenizers:
            raise ValueError("a playground needs at least one tokenizer")
        names = list(self._tokenizers)
        super().__init__(text=text, shown=names[:3] if shown is None else list(shown), price=price, names=names)

    @t.validate("text", "shown", "price")
    def _is_possible(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "text" and len(value) > 200_000:
            raise ValueError(f"text must have at most 200,000 characters, got {len(value):,}")
        if name == "shown" and (unknown := [n for n in value if n not in self._tokenizers]):
            raise ValueError(f"no tokenizer {unknown[0]!r} in this playground; it has {', '.join(self._tokenizers)}")
        if name == "price" and not 0 <= value <= 1000:
            raise ValueError(f"price must be from 0 to 1000 dollars per million tokens, got {value!r}")
        return value

    @t.observe("shown")
    def _send_vocabularies(self, change: Any) -> None:
        missing = [name for name in self.shown if name not in self.vocabularies]
        new = {name: packed_ranks(self._tokenizers[name]) for name in missing}
        self.vocabularies = {**self.vocabularies, **new}  # a new dict: one that was changed in place is not sent

    def _tokens(self) -> dict[str, list[str]]:
        show = {name: self._tokenizers[name].tokens(self.text) for name in self.shown}
        return {name: [token.decode("utf-8", "backslashreplace") for token in tokens] for name, tokens in show.items()}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        rows = [
            f"<p><b>{escape(name)}</b>: {len(tokens):,} tokens</p><p>"
            + " ".join(f'<span style="{STYLE}">{escape(token)}</span>' for token in tokens[:500])
            + ("</p>" if len(tokens) <= 500 else " …</p>")
            for name, tokens in self._tokens().items()
        ]
        return {**data, "text/html": "".join(rows)}, metadata

    def __repr__(self) -> str:
        lines = [
            f"{name}: {len(tokens):,} tokens: " + "|".join(token.replace("\n", "⏎") for token in tokens[:500])
            for name, tokens in self._tokens().items()
        ]
        return "\n".join(lines) or "no tokenizer is shown"
