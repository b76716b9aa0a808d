"""Reading what flows through a model, and putting something else in its place.

It knows the names of the model's capture points and nothing of what is found there.

    embedding                             [batch, seq, d_model]
    layers.0.resid_pre                    [batch, seq, d_model]     before the layer
    layers.0.self_attn.q  k  v            [batch, n_heads or n_kv_heads, seq, d_head]
    layers.0.self_attn.attention_pattern  [batch, n_heads, seq, seq]
    layers.0.resid_mid                    [batch, seq, d_model]     after its attention
    layers.0.mlp.hidden                   [batch, seq, d_mlp]       its neurons; in a layer with experts instead:
    layers.0.mlp.router                   [batch, seq, n_experts]   how well each expert suits each token
    layers.0.resid_post                   [batch, seq, d_model]     after the layer
    ...
    normed                                [batch, seq, d_model]
    logits                                [batch, seq, vocab_size]

Reading order: capture, hooks (hang, for good), twin, then what checks names and token ids.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from llm101.model import CapturePoint, Transformer
from llm101.outside.given import id_row, whole
from llm101.outside.strict_json import shown

Hook = Callable[[Tensor], "Tensor | None"]
"""Gets what flows through a capture point; returns what shall flow on instead, or None to leave it."""


class CaptureError(ValueError):
    """A place that the model does not have, or tokens that it cannot read."""


class _Enough(Exception):
    """All that was asked for has been seen: the rest of the model need not run."""


def capture(model: Transformer, token_ids: Tensor | Sequence[int], *names: str) -> dict[str, Tensor]:
    """Run the model and keep what flows through the named points; it runs no further than the last of them.

    Args:
        model: any Transformer.
        token_ids: [batch, seq], or one text's ids.
        names: capture points, as listed above; `model.capture_points()` yields them all.

    Returns:
        One tensor for each name, with a batch axis in any case; shapes as listed above.

    Raises:
        CaptureError: a name that the model does not have, or no token ids, or ids out of range.

    Example:
        >>> import llm101
        >>> lm = llm101.load("storyteller")
        >>> seen = capture(lm.model, lm.tokenizer.encode("a red ball"), "embedding", "layers.3.resid_post")
        >>> {name: tuple(x.shape) for name, x in seen.items()}
        {'embedding': (1, 3, 256), 'layers.3.resid_post': (1, 3, 256)}
    """
    batch, seen = checked_ids(model, token_ids), dict[str, Tensor]()
    wanted = set(names)

    def keep(name: str) -> Hook:
        def hook(x: Tensor) -> None:
            seen[name] = x.detach().clone()
            if len(seen) == len(wanted):
                raise _Enough

        return hook

    watched = hooks(model, {name: keep(name) for name in wanted})
    with torch.no_grad(), suppress(_Enough), watched:
        model(batch)
    return {name: seen[name] for name in names}


@contextmanager
def hooks(model: Transformer, functions: Mapping[str, Hook]) -> Iterator[None]:
    """While the block runs, each named point's function sees what flows there and may replace it.

    The engine notices and takes its plain path, so that completions run through the hooks as well.

    Raises:
        CaptureError: a name that the model does not have; nothing is hooked then.

    Example:
        >>> import llm101
        >>> lm = llm101.load("storyteller")
        >>> with hooks(lm.model, {"layers.5.resid_post": lambda residual: residual * 0}):
        ...     bool(lm.model(torch.tensor([[1, 2]])).any())
        False
    """
    handles = hang(model, functions)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def hang(model: Transformer, functions: Mapping[str, Hook]) -> list[RemovableHandle]:
    """Like hooks, but for good, or until each handle's `remove` is called."""
    points = [(capture_point(model, name), function) for name, function in functions.items()]
    return [point.register_forward_hook(_Hung(function)) for point, function in points]


@dataclass(frozen=True)
class _Hung:
    """A Hook as torch calls it; an object, because that can be sent to another process."""

    function: Hook

    def __call__(self, _module: object, _inputs: object, output: Tensor) -> Tensor | None:
        return self.function(output)


def twin(model: Transformer) -> Transformer:
    """A second model over the same parameters, with capture points of its own: a hook in one is none in the other.

    Example:
        >>> import llm101
        >>> lm = llm101.load("storyteller")
        >>> second = twin(lm.model)
        >>> with hooks(second, {"logits": lambda logits: logits * 0}):
        ...     [bool(model(torch.tensor([[1, 2]])).any()) for model in (lm.model, second)]
        [True, False]
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    second = copy.deepcopy(model, shared)
    for module in second.modules():  # those of the first, if it is watched or steered at the moment
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        module._forward_pre_hooks_with_kwargs.clear()
    return second


def capture_point(model: Transformer, name: str) -> CapturePoint:
    """The capture point of that name.

    Raises:
        CaptureError: there is none; the line says which names are close, or which layers there are.
    """
    points = dict(model.capture_points())
    if name in points:
        return points[name]
    parts = str(name).split(".")
    if len(parts) > 2 and parts[0] == "layers" and f"layers.0.{'.'.join(parts[2:])}" in points:
        check_layer(model, int(parts[1]) if parts[1].isascii() and parts[1].isdigit() else parts[1])
    close = difflib.get_close_matches(str(name)[:100], list(points), n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "model.capture_points() lists them"
    raise CaptureError(f"the model has no capture point {str(name)[:100]!r}; {hint}")


def check_layer(model: Transformer, layer: object) -> int:
    """The layer, if the model has it.

    Raises:
        CaptureError: it has not; the line says which ones there are.
    """
    n_layers = model.config.n_layers
    taken = whole(layer)
    if taken is None or not 0 <= taken < n_layers:
        raise CaptureError(f"the model has layers 0 to {n_layers - 1}, got {shown(layer)}")
    return taken


def checked_ids(model: Transformer, token_ids: Tensor | Sequence[int]) -> Tensor:
    """Token ids as the model takes them, [batch, seq] on its device.

    Raises:
        CaptureError: no ids, ids out of range, or more than the context holds.
    """
    config = model.config
    allowed = f"token ids are whole numbers from 0 to {config.vocab_size - 1}"
    try:
        batch = list(token_ids) if isinstance(token_ids, Tensor) and token_ids.ndim == 2 else [token_ids]
        rows = [id_row(row, allowed) for row in batch]
    except ValueError as error:
        raise CaptureError(str(error)) from None
    if not rows or not rows[0]:
        raise CaptureError("the text has no tokens: give at least one token id")
    odd = [i for row in rows for i in row if not 0 <= i < config.vocab_size]
    if odd:
        raise CaptureError(f"{allowed}, got {shown(odd[0])}")
    ids = torch.tensor(rows)
    if ids.shape[1] > config.context_length:
        raise CaptureError(f"{ids.shape[1]} tokens do not fit the context of {config.context_length}; shorten the text")
    return ids.to(model.lm_head.weight.device)
