"""The logit lens: what the model would say if it stopped after each layer.

Every layer adds to one residual stream, and the output layer reads that stream; so it can be read early. The idea
is nostalgebraist's ("interpreting GPT: the logit lens", 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm101.interpretability.capture import capture
from llm101.model import Transformer


def logit_lens(model: Transformer, token_ids: Tensor | Sequence[int]) -> Tensor:
    """The output layer applied to the residual stream before the first layer and after each.

    Args:
        token_ids: one text's ids.

    Returns:
        logits [n_layers + 1, seq, vocab_size]; the last of them are the model's own. They take memory: 0.1 MB for each
        token of the Storyteller's, 6 MB of SmolLM2's.

    Raises:
        CaptureError: no ids, or ids that the model does not have.

    Example:
        >>> import llm101
        >>> lm = llm101.load("storyteller")
        >>> logits = logit_lens(lm.model, lm.engine.prompt_ids("Once upon a"))
        >>> [lm.tokenizer.decode([i]) for i in logits[-2:, -1].argmax(dim=-1).tolist()]
        [' time', ' time']
    """
    layers = [f"layers.{layer}.resid_post" for layer in range(model.config.n_layers)]
    seen = capture(model, token_ids, "embedding", *layers)
    residual = torch.stack([seen[name][0] for name in ("embedding", *layers)])
    with torch.no_grad():
        return model.lm_head(model.model.norm(residual))
