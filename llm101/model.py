"""The model: a stack of Transformer layers that puts the parameters to work.

It knows nothing of files, tokenizers, sampling, training or interpretability. It is the Llama
family's decoder: RMSNorm, rotary positions, grouped-query attention and a SwiGLU MLP, under
Hugging Face's own tensor names, so that a checkpoint's tensors load by name without a table.

Reading order: ModelConfig, Transformer (top to bottom: tokens in, logits out), Layer, Attention,
MLP, then the small pieces they stand on (RMSNorm, rotary positions, CapturePoint).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm101.outside.given import real, whole
from llm101.outside.strict_json import shown


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model: everything about it that is not a parameter.

    Raises:
        ValueError: naming the field, the value it got and what would be allowed.

    Example:
        >>> config = ModelConfig(vocab_size=4096, d_model=256, n_layers=6, n_heads=8, n_kv_heads=4)
        >>> config.d_head, config.d_mlp
        (32, 704)
        >>> config.n_parameters
        5475584
    """

    vocab_size: int
    """How many different tokens there are."""
    d_model: int
    """Width of the residual stream: how many numbers stand for one token."""
    n_layers: int
    """How many layers are stacked."""
    n_heads: int
    """Attention heads per layer (query heads)."""
    n_kv_heads: int = 0
    """Key/value heads, each shared by n_heads / n_kv_heads query heads. 0: as many as n_heads."""
    d_head: int = 0
    """Width of one head. 0: d_model / n_heads."""
    d_mlp: int = 0
    """Width of the MLP's hidden layer. 0: 8/3 of d_model, rounded up to a multiple of 64."""
    context_length: int = 512
    """How many tokens the model can look at, at most."""
    rope_theta: float = 10_000.0
    """Base of the rotary wavelengths."""
    norm_eps: float = 1e-5
    """Added to the mean square in RMSNorm, so that it never divides by zero."""
    tie_embeddings: bool = True
    """Whether the output layer reuses the embedding's numbers."""
    qkv_bias: bool = False
    """Whether q, k and v have a bias (Qwen2)."""
    qk_norm: bool = False
    """Whether q and k are normalised per head (Qwen3)."""
    sliding_window: int | None = None
    """If set, a token sees only that many tokens back, itself included (Mistral)."""

    def __post_init__(self) -> None:
        self._take_count("vocab_size", "d_model", "n_layers", "n_heads", "context_length")
        for name, standard in (
            ("n_kv_heads", self.n_heads),
            ("d_head", self.d_model // self.n_heads),
            ("d_mlp", 64 * -(-8 * self.d_model // 192)),
        ):
            if whole(getattr(self, name)) == 0:
                object.__setattr__(self, name, standard)  # the dataclass is frozen for everybody else
        self._take_count("n_kv_heads", "d_head", "d_mlp")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads ({self.n_heads}) must be a multiple of n_kv_heads ({self.n_kv_heads})")
        if self.d_head % 2:
            raise ValueError(f"d_head must be even, because rotary positions turn pairs of numbers, got {self.d_head}")
        for name, most, allowed in (
            ("rope_theta", math.inf, "be a number above 0"),
            ("norm_eps", 1, "lie between 0 and 1"),
        ):
            value = real(getattr(self, name))
            if value is None or not 0 < value < most:
                raise ValueError(f"{name} must {allowed}, got {shown(getattr(self, name))}")
            object.__setattr__(self, name, value)
        if self.sliding_window is not None:
            self._take_count("sliding_window")

    def _take_count(self, *names: str) -> None:
        for name in names:
            value = whole(getattr(self, name))
            if value is None or not 1 <= value <= 2**31:
                raise ValueError(f"{name} must be a whole number from 1 to 2**31, got {shown(getattr(self, name))}")
            object.__setattr__(self, name, value)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of the model, in file order; no memory is used for them."""
        d, q, kv = self.d_model, self.n_heads * self.d_head, self.n_kv_heads * self.d_head
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, d)}
        for layer in range(self.n_layers):
            at = f"model.layers.{layer}."
            shapes[at + "input_layernorm.weight"] = (d,)
            for name, rows in (("q", q), ("k", kv), ("v", kv)):
                shapes[f"{at}self_attn.{name}_proj.weight"] = (rows, d)
                if self.qkv_bias:
                    shapes[f"{at}self_attn.{name}_proj.bias"] = (rows,)
            shapes[at + "self_attn.o_proj.weight"] = (d, q)
            if self.qk_norm:
                shapes[at + "self_attn.q_norm.weight"] = (self.d_head,)
                shapes[at + "self_attn.k_norm.weight"] = (self.d_head,)
            shapes[at + "post_attention_layernorm.weight"] = (d,)
            shapes[at + "mlp.gate_proj.weight"] = (self.d_mlp, d)
            shapes[at + "mlp.up_proj.weight"] = (self.d_mlp, d)
            shapes[at + "mlp.down_proj.weight"] = (d, self.d_mlp)
        shapes["model.norm.weight"] = (d,)
        if not self.tie_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, d)
        return shapes

    @property
    def n_parameters(self) -> int:
        """How many numbers a model of this shape holds; tied embeddings count once."""
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())


class KeyValueStore(Protocol):
    """What the model asks of a KV cache: how many positions it holds, and a place to append."""

    @property
    def length(self) -> int: ...

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep new keys and values [batch, n_kv_heads, seq, d_head]; return all of that layer so far."""
        ...


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
        attention_mask: Tensor | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Run the model.

        Args:
            token_ids: [batch, seq], whole numbers below vocab_size.
            kv_cache: keys and values of earlier tokens; the new ones are appended to it.
            positions: [batch, seq], the place of each token in its text; counted on from the cache if left out.
            attention_mask: True where a token may look, broadcast over [batch, n_heads, seq, cached + seq];
                causal (itself and what came before) if left out.
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
        """Every named place where a hook can read or replace what flows, in the order in which it gets there."""
        for name, module in self.named_modules():
            if isinstance(module, CapturePoint):
                yield name.removeprefix("model."), module


class Decoder(nn.Module):
    """Embedding, the layers, a last normalisation. Its name in a checkpoint is `model`."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.embedding = CapturePoint()
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.n_layers))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.normed = CapturePoint()
        cos, sin = rotary_table(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self, token_ids: Tensor, kv_cache: KeyValueStore | None, positions: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        seq, past = token_ids.shape[1], kv_cache.length if kv_cache is not None else 0
        if past + seq > self.config.context_length:
            raise ValueError(
                f"{past + seq} tokens do not fit the context of {self.config.context_length}; "
                "shorten the prompt or ask for fewer tokens"
            )
        if positions is None:
            cos, sin = self.cos[past : past + seq], self.sin[past : past + seq]
        else:
            cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)
        if mask is None:
            mask = causal_mask(seq, past, self.config.sliding_window, token_ids.device)
        residual = self.embedding(self.embed_tokens(token_ids))
        for layer in self.layers:
            residual = layer(residual, cos, sin, mask, kv_cache=kv_cache)
        return self.normed(self.norm(residual))


class Layer(nn.Module):
    """One layer: look around (attention), then think (MLP); both add to the residual stream."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.resid_pre = CapturePoint()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config, index)
        self.resid_mid = CapturePoint()
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = MLP(config)
        self.resid_post = CapturePoint()

    def forward(
        self, residual: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, *, kv_cache: KeyValueStore | None
    ) -> Tensor:
        residual = self.resid_pre(residual)
        residual = self.resid_mid(residual + self.self_attn(self.input_layernorm(residual), cos, sin, mask, kv_cache))
        return self.resid_post(residual + self.mlp(self.post_attention_layernorm(residual)))


class Attention(nn.Module):
    """Each token asks a question (q); earlier tokens answer (v) as far as their key (k) fits it."""

    def __init__(self, config: ModelConfig, index: int) -> None:
        super().__init__()
        self.index, self.d_head = index, config.d_head
        self.n_heads, self.n_kv_heads = config.n_heads, config.n_kv_heads
        q_width, kv_width = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        self.q_proj = nn.Linear(config.d_model, q_width, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.d_model, kv_width, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.d_model, kv_width, bias=config.qkv_bias)
        self.o_proj = nn.Linear(q_width, config.d_model, bias=False)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.d_head, config.norm_eps)
            self.k_norm = RMSNorm(config.d_head, config.norm_eps)
        self.q, self.k, self.v, self.attention_pattern = (CapturePoint() for _ in range(4))

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, kv_cache: KeyValueStore | None
    ) -> Tensor:
        batch, seq, _ = x.shape
        q = self.q_proj(x).view(batch, seq, self.n_heads, self.d_head)
        k = self.k_proj(x).view(batch, seq, self.n_kv_heads, self.d_head)
        v = self.v_proj(x).view(batch, seq, self.n_kv_heads, self.d_head).transpose(1, 2)
        if hasattr(self, "q_norm"):
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate(q.transpose(1, 2), cos, sin), rotate(k.transpose(1, 2), cos, sin)
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

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_mlp, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_mlp, bias=False)
        self.down_proj = nn.Linear(config.d_mlp, config.d_model, bias=False)
        self.hidden = CapturePoint()

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.hidden(F.silu(self.gate_proj(x)) * self.up_proj(x)))


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


def rotary_table(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary angles, each [context_length, d_head] (RoFormer, arXiv 2104.09864).

    Pair i of a head turns by position * theta**(-2i / d_head): the first pairs fast, the last ones slowly.
    """
    wavelengths = config.rope_theta ** (-torch.arange(0, config.d_head, 2, dtype=torch.float32) / config.d_head)
    angles = torch.arange(config.context_length, dtype=torch.float32)[:, None] * wavelengths
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + d_head/2]) by its angle, so that q·k depends on distance alone.

    Example:
        >>> quarter_turn = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])   # cos 90°, sin 90°
        >>> rotate(torch.tensor([1.0, 0.0]), *quarter_turn)
        tensor([0., 1.])
    """
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


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
