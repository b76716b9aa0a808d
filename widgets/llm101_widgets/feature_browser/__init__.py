"""FeatureBrowser: search the latents of a sparse autoencoder by word, see where each is strong and what it does.

It takes a recording (see recording.py), as bytes or as an object whose `to_bytes()` returns them.
"""

from collections.abc import Collection
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.feature_browser.picture import as_svg
from llm101_widgets.feature_browser.recording import cut_out, in_words, read_recording
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html

LARGEST = 3_000_000  # bytes of a recording that a page can be given


class FeatureBrowser(anywidget.AnyWidget):
    """The page unpacks the recording and does all else itself, so that it also works in a saved notebook.

    Args:
        recording: the recorded features.
        query: what to search for at first.
        latent: which latent to show at first; None for the first that the recording has.
        keep: the latents that a saved notebook holds; None for all. With a kernel the page always has all.
    """

    _esm, _css = page_of("feature_browser", root="llm101-features-root")
    # the reader sets, here or in the page: words to search for, and the latent that is looked at
    query, latent = t.Unicode().tag(sync=True), t.Int().tag(sync=True)
    # the page reads: a gzip-compressed recording, and whether the kernel can send one with more latents
    recording, more = t.Bytes().tag(sync=True), t.Bool().tag(sync=True)

    def __init__(
        self, recording: Any, *, query: str = "", latent: int | None = None, keep: Collection[int] | None = None
    ) -> None:
        packed = recording if isinstance(recording, bytes) else getattr(recording, "to_bytes", lambda: None)()
        if not isinstance(packed, bytes):
            raise ValueError(f"a browser needs recorded features, or their bytes, got {type(recording).__name__}")
        if len(packed) > LARGEST:
            raise ValueError(f"{len(packed):,} bytes are too many for a page: record fewer passages ({LARGEST:,} fit)")
        self._packed, self._recording = packed, read_recording(packed)
        self._latents = {one["id"]: one for one in self._recording["latents"]}
        if unknown := sorted(set(keep or ()) - set(self._latents)):
            raise ValueError(f"no latent {unknown[0]} in this recording, so it cannot be kept")
        first = next(iter(self._latents)) if latent is None else latent
        kept = packed if keep is None else cut_out(self._recording, {*keep, first})
        super().__init__(recording=kept, more=keep is not None, query=query, latent=first)
        self.on_msg(self._heard)

    @t.validate("latent")
    def _is_there(self, proposal: Any) -> int:
        if proposal["value"] not in self._latents:
            last = max(self._latents)
            raise ValueError(f"no latent {proposal['value']} in this recording: it is dead, or not from 0 to {last}")
        return proposal["value"]

    def _heard(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """The page asks for the whole recording."""
        if message.get("want") == "all":
            self.send({"all": True}, [self._packed])

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        svg = as_svg(self._recording["tokens"], self._latents[self.latent])
        return data | in_html(svg, repr(self)), metadata

    def __repr__(self) -> str:
        return in_words(self._recording, self._latents[self.latent])
