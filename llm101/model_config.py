"""The shape of a model: everything about it that is not a parameter, checked, and what follows from it.

It knows nothing of tensors' numbers, files or arithmetic: model.py builds such a model.

Reading order: ModelConfig's fields, the checks (what means the same is made the same), tensor_shapes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from llm101.outside.given import id_row, real, whole
from llm101.outside.strict_json import shown
from llm101.rotary import RopeScaling

FIRST_FIELDS = (
    *("vocab_size", "d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp", "context_length"),
    *("rope_theta", "norm_eps", "tie_embeddings", "qkv_bias", "qk_norm", "sliding_window"),
)
"""What there was in a ModelConfig at first, when the first runs and compressed files wrote one down."""


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
    """Width of the MLP's hidden layer. 0: 8/3 of d_model, rounded up to a multiple of 64; d_expert if there is one."""
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
    windowed_layers: tuple[int, ...] | None = None
    """The layers in which it does (some of Qwen2's), counted from 0. None: all of them."""
    rope_scaling: RopeScaling | None = None
    """How rotary positions were stretched to read longer texts (Llama 3.1 and later)."""
    layers_without_rope: tuple[int, ...] = ()
    """Layers that do not know where a token stands (every fourth of SmolLM3)."""
    o_bias: bool = False
    """Whether attention's output has a bias."""
    mlp_bias: bool = False
    """Whether the MLP's three matrices have one."""
    n_experts: int = 0
    """If not 0, a layer has so many MLPs, of which each token uses a few (Mixtral, Qwen3-MoE)."""
    n_active_experts: int = 0
    """How many of them a token uses."""
    d_expert: int = 0
    """Width of an expert's hidden layer. 0: that of the MLP."""
    normalise_expert_weights: bool = True
    """Whether the weights of those that a token uses are made to add up to 1."""
    dense_layers: tuple[int, ...] = ()
    """Layers that have a plain MLP in spite of n_experts."""

    def __post_init__(self) -> None:
        self._take_count("vocab_size", "d_model", "n_layers", "n_heads", "context_length")
        self._take_count("n_experts", "n_active_experts", "d_expert", least=0)
        for name, standard in (
            ("n_kv_heads", self.n_heads),
            ("d_head", self.d_model // self.n_heads),
            ("d_mlp", self.d_expert or 64 * -(-8 * self.d_model // 192)),
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
        self._check_positions()
        self._check_experts()

    def _check_positions(self) -> None:
        """Windows, RoPE scaling and layers without RoPE; what means the same is made the same."""
        self._take_layers("layers_without_rope")
        if self.windowed_layers is not None:
            self._take_layers("windowed_layers")
            if len(self.windowed_layers) == 0:
                object.__setattr__(self, "sliding_window", None)
            if len(self.windowed_layers) == self.n_layers or self.sliding_window is None:
                object.__setattr__(self, "windowed_layers", None)
        if self.sliding_window is not None:
            self._take_count("sliding_window")
        if self.rope_scaling is None:
            return
        if not isinstance(self.rope_scaling, RopeScaling):
            raise ValueError(f"rope_scaling must be a RopeScaling or None, got {shown(self.rope_scaling)}")
        if self.rope_scaling.kind == "yarn" and self.rope_theta <= 1:
            raise ValueError(f"with yarn, rope_theta must be above 1, got {self.rope_theta}")

    def _check_experts(self) -> None:
        self._take_layers("dense_layers")
        if self.n_experts == 0:
            if self.n_active_experts or self.d_expert or self.dense_layers:
                raise ValueError("n_active_experts, d_expert and dense_layers need n_experts, which is 0")
            object.__setattr__(self, "normalise_expert_weights", True)
            return
        if not 1 <= self.n_active_experts <= self.n_experts:
            raise ValueError(f"n_active_experts must be 1 to n_experts ({self.n_experts}), got {self.n_active_experts}")
        if len(self.dense_layers) == self.n_layers:
            raise ValueError("dense_layers are all layers, which leaves none for the experts; set n_experts to 0")
        if self.mlp_bias:
            raise ValueError("experts have no biases; set mlp_bias or n_experts, not both")
        object.__setattr__(self, "d_expert", self.d_expert or self.d_mlp)

    def _take_count(self, *names: str, least: int = 1) -> None:
        for name in names:
            value = whole(getattr(self, name))
            if value is None or not least <= value <= 2**31:
                got = shown(getattr(self, name))
                raise ValueError(f"{name} must be a whole number from {least} to 2**31, got {got}")
            object.__setattr__(self, name, value)

    def _take_layers(self, name: str) -> None:
        allowed = f"{name} must be layers from 0 to {self.n_layers - 1}"
        layers = sorted({*id_row(getattr(self, name), allowed)})
        if layers and not 0 <= layers[0] <= layers[-1] < self.n_layers:
            raise ValueError(f"{allowed}, got {shown(layers[0] if layers[0] < 0 else layers[-1])}")
        object.__setattr__(self, name, tuple(layers))

    def window(self, layer: int) -> int | None:
        """How many tokens back a token sees in that layer, itself included; None: all of them."""
        return self.sliding_window if self.windowed_layers is None or layer in self.windowed_layers else None

    def has_experts(self, layer: int) -> bool:
        """Whether that layer has a mixture of experts instead of one MLP."""
        return self.n_experts > 0 and layer not in self.dense_layers

    def in_use(self) -> dict[str, Any]:
        """Its fields as plain values; those that came later only if they are used, so that older notes stay true.

        Example:
            >>> ModelConfig(9, 8, 1, 1).in_use().keys() == {*FIRST_FIELDS}
            True
        """
        standard = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if name in FIRST_FIELDS or value != standard[name]}

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
            if self.o_bias:
                shapes[at + "self_attn.o_proj.bias"] = (d,)
            if self.qk_norm:
                shapes[at + "self_attn.q_norm.weight"] = (self.d_head,)
                shapes[at + "self_attn.k_norm.weight"] = (self.d_head,)
            shapes[at + "post_attention_layernorm.weight"] = (d,)
            if self.has_experts(layer):
                shapes[at + "mlp.gate.weight"] = (self.n_experts, d)
                for expert in range(self.n_experts):
                    shapes |= self._mlp_shapes(f"{at}mlp.experts.{expert}.", self.d_expert)
            else:
                shapes |= self._mlp_shapes(at + "mlp.", self.d_mlp)
        shapes["model.norm.weight"] = (d,)
        if not self.tie_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, d)
        return shapes

    def _mlp_shapes(self, at: str, d_hidden: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for name, shape in (
            ("gate", (d_hidden, self.d_model)),
            ("up", (d_hidden, self.d_model)),
            ("down", (self.d_model, d_hidden)),
        ):
            shapes[f"{at}{name}_proj.weight"] = shape
            if self.mlp_bias:
                shapes[f"{at}{name}_proj.bias"] = shape[:1]
        return shapes

    @property
    def n_parameters(self) -> int:
        """How many numbers a model of this shape holds; tied embeddings count once."""
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())

    @property
    def n_active_parameters(self) -> int:
        """How many of them work on one token: all but the experts that it does not use."""
        unused = (self.n_experts - self.n_active_experts) * 3 * self.d_expert * self.d_model
        return self.n_parameters - unused * (self.n_layers - len(self.dense_layers))
