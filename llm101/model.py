"""The model: a stack of Transformer layers that puts the parameters to work.

It knows nothing of files, tokenizers, sampling, training or interpretability. It is the Llama
family's decoder: RMSNorm, rotary positions, grouped-query attention and a SwiGLU MLP or a mixture
of experts, under Hugging Face's own tensor names, so that tensors load by name without a table.

Reading order: Transformer (top to bottom: tokens in, logits out), Layer, Attention, MLP,
MixtureOfExperts, then the small pieces they stand on (RMSNorm, CapturePoint, causal_mask). Its
shape is in model_config.py; how positions are told apart, in rotary.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101.model_config import ModelConfig
from llm101.outside.given import whole
from llm101.outside.strict_json import shown
from llm101.rotary import RopeScaling, rotary_frequencies, rotary_table, rotate

__all__ = ["CapturePoint", "KeyValueStore", "ModelConfig", "RopeScaling", "Transformer", "causal_mask"]


class KeyValueStore(Protocol):
    """What the model asks of a KV cache: how many positions it holds, and a place to append."""

    @property
    def length(self) -> int: ...

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep new keys and values [batch, n_kv_heads, seq, d_head]; return all of that layer so far."""
        ...


Mask: TypeAlias = Tensor | None
"""True where a token may look; None: at itself and at all that came before."""


class Transformer(nn.Module):
    """Token ids in, a score for every possible next token out.

    The numbers flow through one *residual stream* of width d_model per token. Each layer reads
    from it and adds to it, first by attention (looking at earlier tokens), then by an MLP.

    Example:
        >>> model = Transformer(ModelConfig(vocab_size=300, d_model=16, n_layers=2, n_heads=2))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 300])
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.logits = CapturePoint()

    def forward(
        self,
        token_ids: Tensor,
        kv_cache: KeyValueStore | None = None,
        *,
        positions: Tensor | None = None,
        attention_mask: Mask | Mapping[int | None, Mask] = None,
        last_only: bool = False,
    ) -> Tensor:
        """Run the model.

        Args:
            token_ids: [batch, seq], whole numbers below vocab_size.
            kv_cache: keys and values of earlier tokens; the new ones are appended to it.
            positions: [batch, seq], the place of each token in its text; counted on from the cache if left out.
            attention_mask: True where a token may look, broadcast over [batch, n_heads, seq, cached + seq];
                causal (itself and what came before) if left out. One for all layers, or {window: mask}
                with one for each `config.window(layer)`.
            last_only: score only the last position, which is all that generating text needs.

        Returns:
            logits [batch, seq or 1, vocab_size]; softmax over the last axis gives probabilities.

        Raises:
            ValueError: more tokens than context_length.
        """
        residual = self.model(token_ids, kv_cache, positions, attention_mask)
        if last_only:
            residual = residual[:, -1:]
        return self.logits(self.lm_head(residual))

    @torch.no_grad()
    def initialise(self, seed: int) -> Transformer:
        """Fill the parameters with small random numbers: where training starts.

        Matrices get a normal spread of 1/sqrt(inputs); those that write into the residual stream are
        scaled down by sqrt(2 n_layers), so that a deeper stack does not start louder (GPT-2, section 2.3).

        Raises:
            ValueError: a seed that is no whole number from 0 to 2**63 - 1.
        """
        value = whole(seed)
        if value is None or not 0 <= value < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, got {shown(seed)}")
        generator = torch.Generator().manual_seed(value)
        for name, p in self.named_parameters():
            if p.ndim == 1:
                p.fill_(0.0 if name.endswith("bias") else 1.0)
            elif "embed_tokens" in name:
                p.normal_(std=0.02, generator=generator)
            else:
                std = p.shape[1] ** -0.5
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std /= (2 * self.config.n_layers) ** 0.5
                p.normal_(std=std, generator=generator)
        return self

    def capture_points(self) -> Iterator[tuple[str, CapturePoint]]:
        """Every named place where a hook can read or replace what flows, in the order in which it gets there.

        Not those inside experts: what flows there is only of the tokens that chose that expert, often none.
        """
        for name, module in self.named_modules():
            if isinstance(module, CapturePoint) and ".experts." not in name:
                yield name.removeprefix("model."), module


class Decoder(nn.Module):
    """Embedding, the layers, a last normalisation. Its name in a checkpoint is `model`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.frequencies = rotary_frequencies(config.rope_theta, config.d_head, config.rope_scaling)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.embedding = CapturePoint()
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.normed = CapturePoint()

    def forward(
        self,
        token_ids: Tensor,
        kv_cache: KeyValueStore | None,
        positions: Tensor | None,
        mask: Mask | Mapping[int | None, Mask],
    ) -> Tensor:
        seq, past = token_ids.shape[1], kv_cache.length if kv_cache is not None else 0
        if past + seq > self.config.context_length:
            raise ValueError(
                f"{past + seq} tokens do not fit the context of {self.config.context_length}; "
                "shorten the prompt or ask for fewer tokens"
            )
        if positions is None:
            positions = torch.arange(past, past + seq, device=token_ids.device)
        cos, sin = self.rotary(positions)
        if mask is None:
            mask = self.masks(seq, past, token_ids.device)
        residual = self.embedding(self.embed_tokens(token_ids))
        for i, layer in enumerate(self.layers):
            of_layer = mask[self.config.window(i)] if isinstance(mask, Mapping) else mask
            residual = layer(residual, cos, sin, of_layer, kv_cache=kv_cache)
        return self.normed(self.norm(residual))

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the angles at positions [seq] or [batch, seq], as the layers take them."""
        scaling = self.config.rope_scaling
        cos, sin = rotary_table(
            positions, self.frequencies.to(positions.device), 1.0 if scaling is None else scaling.magnitude
        )
        return (cos, sin) if positions.ndim == 1 else (cos.unsqueeze(1), sin.unsqueeze(1))  # for each head

    def masks(self, seq: int, past: int, device: torch.device) -> dict[int | None, Mask]:
        """For each window that a layer may have, where the new tokens may look."""
        windows = {self.config.window(layer) for layer in range(self.config.n_layers)}
        return {window: causal_mask(seq, past, window, device) for window in windows}


class Layer(nn.Module):
    """One layer: look around (attention), then think (MLP); both add to the residual stream."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.resid_pre = CapturePoint()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config, index)
        self.resid_mid = CapturePoint()
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = MixtureOfExperts(config) if config.has_experts(index) else MLP(config, config.d_mlp)
        self.resid_post = CapturePoint()

    def forward(
        self, residual: Tensor, cos: Tensor, sin: Tensor, mask: Mask, *, kv_cache: KeyValueStore | None
    ) -> Tensor:
        residual = self.resid_pre(residual)
        residual = self.resid_mid(residual + self.self_attn(self.input_layernorm(residual), cos, sin, mask, kv_cache))
        return self.resid_post(residual + self.mlp(self.post_attention_layernorm(residual)))


class Attention(nn.Module):
    """Each token asks a question (q); earlier tokens answer (v) as far as their key (k) fits it."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.index, self.d_head = index, config.d_head
        self.knows_positions = index not in config.layers_without_rope
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        q_width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        self.q_proj = nn.Linear(config.d_model, q_width, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.d_model, kv_width, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.d_model, kv_width, bias=config.qkv_bias)
        self.o_proj = nn.Linear(q_width, config.d_model, bias=config.o_bias)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.d_head, config.norm_eps)
            self.k_norm = RMSNorm(config.d_head, config.norm_eps)
        self.q, self.k, self.v, self.attention_pattern = (CapturePoint() for _ in range(4))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask, kv_cache: KeyValueStore | None) -> Tensor:
        batch, seq, _ = x.shape
        q = self.q_proj(x).view(batch, seq, self.n_heads, self.d_head)
        k = self.k_proj(x).view(batch, seq, self.n_kv_heads, self.d_head)
        v = self.v_proj(x).view(batch, seq, self.n_kv_heads, self.d_head).transpose(1, 2)
        if hasattr(self, "q_norm"):
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = q.transpose(1, 2), k.transpose(1, 2)
        if self.knows_positions:
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k, v = self.q(q), self.k(k), self.v(v)  # [batch, n_heads or n_kv_heads, seq, d_head]
        if kv_cache is not None:
            k, v = kv_cache.append(self.index, k, v)
        k, v = (t.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1) for t in (k, v))
        if self.attention_pattern.is_watched:
            out = self.attention_pattern(attention_pattern(q, k, mask)) @ v
        else:  # the same sum, fused, without ever storing the pattern
            out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and seq > 1)
        return self.o_proj(out.transpose(1, 2).reshape(batch, seq, -1))


class MLP(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202): a gate decides how much of each hidden number passes."""

    def __init__(self, config: ModelConfig, d_hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, d_hidden, bias=config.mlp_bias)
        self.up_proj = nn.Linear(config.d_model, d_hidden, bias=config.mlp_bias)
        self.down_proj = nn.Linear(d_hidden, config.d_model, bias=config.mlp_bias)
        self.hidden = CapturePoint()

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.hidden(F.silu(self.gate_proj(x)) * self.up_proj(x)))


class MixtureOfExperts(nn.Module):
    """Many MLPs, of which each token uses the few that a router chooses (arXiv 1701.06538, 2401.04088).

    The model holds the parameters of all experts, and a token costs the time of those that it uses.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_active, self.normalise = config.n_active_experts, config.normalise_expert_weights
        self.gate = nn.Linear(config.d_model, config.n_experts, bias=False)
        self.router = CapturePoint()
        self.experts = nn.ModuleList(MLP(config, config.d_expert) for _ in range(config.n_experts))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.router(self.gate(x))  # [batch, seq, n_experts]
        weights, chosen = scores.softmax(dim=-1, dtype=torch.float32).topk(self.n_active)  # [batch, seq, n_active]
        if self.normalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(x)
        for i in chosen.unique().tolist():  # an expert reads all tokens that chose it at once
            text, place, choice = torch.where(chosen == i)
            share = weights[text, place, choice, None].to(x.dtype)
            out[text, place] += share * self.experts[i](x[text, place])
        return out


class RMSNorm(nn.Module):
    """Divide by the root mean square, so that only the direction counts (arXiv 1910.07467)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class CapturePoint(nn.Module):
    """A named place in the flow. It returns what it gets; a forward hook on it can read or replace that."""

    @property
    def is_watched(self) -> bool:
        return bool(self._forward_hooks)

    def forward(self, x: Tensor) -> Tensor:
        return x


def causal_mask(seq: int, past: int, window: int | None, device: torch.device) -> Tensor | None:
    """True where a new token may look: at itself and at what came before, or None where that needs no mask.

    Returns:
        [seq, past + seq] of booleans, or None: torch's own causal rule (past = 0) or a single new token.

    Example:
        >>> causal_mask(2, 1, None, torch.device("cpu"))
        tensor([[ True,  True, False],
                [ True,  True,  True]])
    """
    if (window is None or past + seq <= window) and (past == 0 or seq == 1):
        return None
    query = torch.arange(past, past + seq, device=device)[:, None]
    key = torch.arange(past + seq, device=device)[None, :]
    mask = key <= query
    return mask if window is None else mask & (key > query - window)


def attention_pattern(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Who looks at whom: softmax of q·k / sqrt(d_head), [batch, n_heads, seq, past + seq]; each row sums to 1."""
    seq, total = q.shape[-2], k.shape[-2]
    if mask is None:
        mask = torch.ones(seq, total, dtype=torch.bool, device=q.device).tril(total - seq)
    scores = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1)
