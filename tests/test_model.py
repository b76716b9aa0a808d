"""The model: its pieces worked by hand, and what must hold whatever the parameters are."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm101.model import (
    MLP,
    CapturePoint,
    MixtureOfExperts,
    ModelConfig,
    RMSNorm,
    RopeScaling,
    Transformer,
    attention_pattern,
    causal_mask,
)

TINY = ModelConfig(vocab_size=50, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, context_length=24)
WINDOWED = dataclasses.replace(TINY, sliding_window=3)
MIXED = dataclasses.replace(TINY, n_experts=4, n_active_experts=2, d_expert=24)
ODD = dataclasses.replace(
    MIXED, n_layers=3, dense_layers=(2,), layers_without_rope=(1,), sliding_window=4, windowed_layers=(0, 2),
    o_bias=True, rope_scaling=RopeScaling("yarn", 4.0, original_context_length=8),
)  # fmt: skip
IDS = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(1))


def filled(config: ModelConfig) -> Transformer:
    """A model whose parameters are all random, norms and biases too, and large enough to matter."""
    model, generator = Transformer(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model.eval()


def mixture(model: Transformer) -> MixtureOfExperts:
    """The experts of the first layer."""
    layer = model.model.layers[0]
    assert isinstance(layer.mlp, MixtureOfExperts)
    return layer.mlp


class PlainCache:
    """The simplest cache there can be: one growing tensor per layer."""

    def __init__(self, n_layers: int) -> None:
        self.k: list[Tensor | None] = [None] * n_layers
        self.v: list[Tensor | None] = [None] * n_layers

    @property
    def length(self) -> int:
        return 0 if self.k[-1] is None else self.k[-1].shape[2]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        old_k, old_v = self.k[layer], self.v[layer]
        new_k = k if old_k is None else torch.cat((old_k, k), dim=2)
        new_v = v if old_v is None else torch.cat((old_v, v), dim=2)
        self.k[layer], self.v[layer] = new_k, new_v
        return new_k, new_v


# The config


def test_sizes_left_out_follow_from_the_others() -> None:
    config = ModelConfig(vocab_size=10, d_model=96, n_layers=1, n_heads=6)
    assert (config.n_kv_heads, config.d_head, config.d_mlp) == (6, 16, 256)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 0}, "vocab_size must be a whole number from 1 to"),
        ({"d_model": 16.0}, "d_model must be a whole number .*, got 16.0"),
        ({"n_layers": True}, "n_layers must be a whole number .*, got True"),
        ({"n_heads": -4}, "n_heads must be a whole number"),
        ({"n_heads": 0, "d_head": 4}, "n_heads must be a whole number"),
        ({"context_length": 2**31 + 1}, "context_length must be a whole number"),
        ({"n_kv_heads": 3}, r"n_heads \(4\) must be a multiple of n_kv_heads \(3\)"),
        ({"d_head": 3}, "d_head must be even"),
        ({"rope_theta": 0.0}, "rope_theta must be a number above 0, got 0.0"),
        ({"rope_theta": math.inf}, "rope_theta must be a number above 0, got inf"),
        ({"rope_theta": math.nan}, "rope_theta must be a number above 0, got nan"),
        ({"norm_eps": 0.0}, "norm_eps must lie between 0 and 1, got 0.0"),
        ({"norm_eps": 1.0}, "norm_eps must lie between 0 and 1, got 1.0"),
        ({"sliding_window": 0}, "sliding_window must be a whole number .*, got 0"),
        ({"windowed_layers": (0, 2)}, "windowed_layers must be layers from 0 to 1, got 2"),
        ({"layers_without_rope": (-1, 0)}, "layers_without_rope must be layers from 0 to 1, got -1"),
        ({"layers_without_rope": 1}, "layers_without_rope must be layers from 0 to 1, got int: 1"),
        ({"layers_without_rope": ["0"]}, "layers_without_rope must be layers from 0 to 1, got '0'"),
        ({"rope_scaling": 8.0}, "rope_scaling must be a RopeScaling or None, got 8.0"),
        ({"rope_scaling": RopeScaling("yarn", 2.0, 8), "rope_theta": 1.0}, "with yarn, rope_theta must be above 1"),
        ({"n_experts": -1}, "n_experts must be a whole number from 0 to .*, got -1"),
        ({"n_experts": 4}, r"n_active_experts must be 1 to n_experts \(4\), got 0"),
        ({"n_experts": 4, "n_active_experts": 5}, r"n_active_experts must be 1 to n_experts \(4\), got 5"),
        ({"n_experts": 4, "n_active_experts": 2, "mlp_bias": True}, "experts have no biases"),
        ({"n_experts": 4, "n_active_experts": 2, "dense_layers": (1, 0)}, "dense_layers are all layers"),
        ({"dense_layers": (0,)}, "need n_experts, which is 0"),
        ({"d_expert": 8}, "need n_experts, which is 0"),
    ],
)
def test_an_impossible_config_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)


@pytest.mark.parametrize(
    "changes", [{"sliding_window": 1}, {"context_length": 2**31}, {"n_kv_heads": 4}, {"n_layers": 1}]
)
def test_the_outermost_values_of_each_range_are_still_in_it(changes: dict[str, Any]) -> None:
    dataclasses.replace(TINY, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        *({}, {"tie_embeddings": False}, {"qkv_bias": True}, {"qk_norm": True}, {"d_head": 6, "n_kv_heads": 1}),
        *({"o_bias": True}, {"mlp_bias": True}, {"n_experts": 3, "n_active_experts": 2, "d_expert": 8}),
        {"n_experts": 3, "n_active_experts": 1, "d_expert": 8, "d_mlp": 40, "dense_layers": (1,)},
    ],
)
def test_the_listed_tensors_are_the_models_parameters(changes: dict[str, Any]) -> None:
    config = dataclasses.replace(TINY, **changes)
    parameters = {name: tuple(p.shape) for name, p in Transformer(config).named_parameters()}
    assert parameters == config.tensor_shapes()
    assert sum(math.prod(shape) for shape in parameters.values()) == config.n_parameters


def test_what_means_the_same_is_the_same_config() -> None:
    assert dataclasses.replace(WINDOWED, windowed_layers=(1, 0, 1)) == WINDOWED
    assert dataclasses.replace(WINDOWED, windowed_layers=()) == TINY
    assert dataclasses.replace(TINY, windowed_layers=[1]) == TINY
    some = dataclasses.replace(WINDOWED, windowed_layers=[torch.tensor(1)])
    assert (some.windowed_layers, some.window(0), some.window(1)) == ((1,), None, 3)
    assert dataclasses.replace(TINY, normalise_expert_weights=False) == TINY


def test_a_token_uses_all_parameters_but_the_experts_that_it_does_not_choose() -> None:
    # Three layers, the last with a plain MLP: in two of them, two of four experts of 3 · 24 · 16 numbers lie idle.
    assert ODD.n_parameters - ODD.n_active_parameters == 2 * 2 * 3 * 24 * 16
    assert dataclasses.replace(MIXED, n_active_experts=4).n_active_parameters == MIXED.n_parameters
    assert TINY.n_active_parameters == TINY.n_parameters


def test_a_config_of_any_size_is_counted_without_making_the_model() -> None:
    llama_2_70b = ModelConfig(
        vocab_size=32000, d_model=8192, n_layers=80, n_heads=64, n_kv_heads=8, d_mlp=28672, tie_embeddings=False
    )
    assert llama_2_70b.n_parameters == 68_976_648_192
    assert dataclasses.replace(TINY, vocab_size=2**31, d_model=2**31, d_head=2).n_parameters > 2**62


# The small pieces


def test_rms_norm_worked_by_hand() -> None:
    norm = RMSNorm(2, eps=1e-9)
    norm.weight.data = torch.tensor([1.0, 10.0])
    # mean square of (3, 4) is 12.5; 3 / 3.5355 = 0.8485, 4 / 3.5355 = 1.1314
    assert norm(torch.tensor([3.0, 4.0])).tolist() == pytest.approx([0.848528, 11.313708], abs=1e-5)


def test_the_mlp_is_down_of_silu_of_gate_times_up() -> None:
    mlp = MLP(ModelConfig(vocab_size=1, d_model=2, n_layers=1, n_heads=1), d_hidden=1)
    mlp.gate_proj.weight.data = torch.tensor([[1.0, 0.0]])
    mlp.up_proj.weight.data = torch.tensor([[0.0, 2.0]])
    mlp.down_proj.weight.data = torch.tensor([[1.0], [-1.0]])
    # gate 1 → silu(1) = 1 / (1 + e^-1) = 0.731059; up 2 · 3 = 6; hidden 4.386351
    assert mlp(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([4.386351, -4.386351], abs=1e-5)


def test_two_of_three_experts_worked_by_hand() -> None:
    config = ModelConfig(vocab_size=1, d_model=2, n_layers=1, n_heads=1, n_experts=3, n_active_experts=2, d_expert=1)
    moe = MixtureOfExperts(config)
    # The router scores the experts ln 1, ln 3 and ln 6: softmax gives .1, .3 and .6, and the best two go on.
    moe.gate.weight.data = torch.tensor([[0.0, 0.0], [math.log(3), 0.0], [math.log(6), 0.0]])
    for i, expert in enumerate(moe.experts):
        expert.gate_proj.weight.data = torch.tensor([[1.0, 0.0]])  # type: ignore[union-attr]
        expert.up_proj.weight.data = torch.tensor([[10.0**i, 0.0]])  # type: ignore[union-attr]
        expert.down_proj.weight.data = torch.tensor([[1.0], [0.0]])  # type: ignore[union-attr]
    x = torch.tensor([[[1.0, 5.0]]])
    silu = 1 / (1 + math.exp(-1))
    assert moe(x).flatten().tolist() == pytest.approx([silu * (10 * 0.3 + 100 * 0.6) / 0.9, 0.0], rel=1e-5)
    moe.normalise = False
    assert moe(x).flatten().tolist() == pytest.approx([silu * (10 * 0.3 + 100 * 0.6), 0.0], rel=1e-5)


def test_each_token_gets_its_own_experts_whatever_stands_beside_it() -> None:
    model = filled(MIXED)
    moe = mixture(model)
    x = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(3))
    chosen = moe.gate(x).topk(2).indices
    assert len(chosen.unique()) == 4
    alone = torch.stack([torch.cat([moe(token[None, None])[0] for token in text]) for text in x])
    assert torch.allclose(moe(x), alone, atol=1e-5)
    one_by_one = torch.zeros_like(x)
    for text, place in torch.cartesian_prod(torch.arange(2), torch.arange(9)).tolist():
        token = x[text, place]
        weights = moe.gate(token).softmax(-1)[chosen[text, place]]
        for weight, i in zip(weights / weights.sum(), chosen[text, place].tolist()):
            one_by_one[text, place] += weight * moe.experts[i](token)
    assert torch.allclose(moe(x), one_by_one, atol=1e-5)


def test_without_rope_a_layer_does_not_know_the_order_of_what_came_before() -> None:
    swapped = IDS.clone()
    swapped[:, [2, 5]] = swapped[:, [5, 2]]
    for layers, knows in (((0,), False), ((), True)):
        model = filled(dataclasses.replace(TINY, n_layers=1, layers_without_rope=layers))
        assert torch.allclose(model(IDS)[:, -1], model(swapped)[:, -1], atol=1e-4) != knows


def test_a_window_in_one_layer_leaves_the_others_their_sight() -> None:
    model = filled(dataclasses.replace(TINY, sliding_window=3, windowed_layers=(1,)))
    seen = captured(model, IDS)
    assert seen["layers.0.self_attn.attention_pattern"].tril(-3).abs().max() > 0
    assert seen["layers.1.self_attn.attention_pattern"].tril(-3).abs().max() == 0


def test_attention_worked_by_hand() -> None:
    # Scores of the second token: q·k / sqrt(1) = 2·0 and 2·ln 3 / 2, so the weights are 1 : 3.
    q = torch.tensor([[1.0], [2.0]]).view(1, 1, 2, 1)
    k = torch.tensor([[0.0], [math.log(3) / 2]]).view(1, 1, 2, 1)
    assert attention_pattern(q, k, None)[0, 0].flatten().tolist() == pytest.approx([1.0, 0.0, 0.25, 0.75], abs=1e-6)


@pytest.mark.parametrize(
    ("seq", "past", "window", "rows"),
    [
        (3, 0, 2, ["100", "110", "011"]),
        (2, 2, None, ["1110", "1111"]),
        (2, 2, 3, ["1110", "0111"]),
        (1, 4, 2, ["00011"]),
        (4, 0, 1, ["1000", "0100", "0010", "0001"]),
    ],
)
def test_who_may_look_at_whom(seq: int, past: int, window: int | None, rows: list[str]) -> None:
    mask = causal_mask(seq, past, window, torch.device("cpu"))
    assert mask is not None
    assert ["".join("01"[int(allowed)] for allowed in row) for row in mask] == rows


@pytest.mark.parametrize(("seq", "past", "window"), [(5, 0, None), (1, 9, None), (5, 0, 5), (1, 3, 4)])
def test_no_mask_is_made_where_none_is_needed(seq: int, past: int, window: int | None) -> None:
    assert causal_mask(seq, past, window, torch.device("cpu")) is None


# The whole model


@pytest.mark.parametrize("config", [TINY, WINDOWED, ODD], ids=["full", "window", "odd"])
def test_a_later_token_never_changes_earlier_logits(config: ModelConfig) -> None:
    model, changed = filled(config), IDS.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 50
    before, after = model(IDS), model(changed)
    assert torch.allclose(before[:, :7], after[:, :7], atol=1e-5)
    assert not torch.allclose(before[:, 7], after[:, 7], atol=1e-2)


def test_a_sliding_window_hides_what_lies_further_back() -> None:
    # Two layers of a window of 3 reach (3 - 1) · 2 = 4 tokens back.
    changed = IDS.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 50
    differs = (filled(WINDOWED)(IDS) - filled(WINDOWED)(changed)).abs().amax(dim=(0, 2)) > 1e-4
    assert differs.tolist() == [True] * 5 + [False] * 7
    everywhere = (filled(TINY)(IDS) - filled(TINY)(changed)).abs().amax(dim=(0, 2)) > 1e-4
    assert everywhere.all()


def test_grouped_query_attention_is_full_attention_with_repeated_heads() -> None:
    grouped, full = filled(TINY), Transformer(dataclasses.replace(TINY, n_kv_heads=4)).eval()
    state = grouped.state_dict()
    for name in state:
        if "k_proj" in name or "v_proj" in name:
            heads = state[name].view(TINY.n_kv_heads, TINY.d_head, -1)
            state[name] = heads.repeat_interleave(2, dim=0).reshape(-1, TINY.d_model)
    full.load_state_dict(state)
    assert torch.allclose(grouped(IDS), full(IDS), atol=1e-5)


def test_one_layer_spelled_out_gives_the_same_logits() -> None:
    config = dataclasses.replace(TINY, n_layers=1, n_heads=2, n_kv_heads=1, qk_norm=True, qkv_bias=True)
    model = filled(config)
    p, at = dict(model.named_parameters()), "model.layers.0."
    seq, width = IDS.shape[1], config.d_head

    def normed(x: Tensor, name: str) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + config.norm_eps).sqrt() * p[name]

    residual = p["model.embed_tokens.weight"][IDS[0]]
    x = normed(residual, at + "input_layernorm.weight")
    attn = at + "self_attn."
    q, k, v = (x @ p[f"{attn}{n}_proj.weight"].T + p[f"{attn}{n}_proj.bias"] for n in "qkv")
    angles = torch.arange(seq)[:, None] * config.rope_theta ** (-torch.arange(0, width, 2) / width)
    turn = torch.polar(torch.ones_like(angles), angles)  # rotary positions are multiplication of complex numbers

    def turned(head: Tensor, name: str) -> Tensor:
        head = normed(head, attn + name)
        pairs = torch.view_as_real(torch.complex(head[:, : width // 2], head[:, width // 2 :]) * turn)
        return torch.cat((pairs[..., 0], pairs[..., 1]), dim=-1)

    key = turned(k, "k_norm.weight")
    heads = []
    for h in range(config.n_heads):
        scores = turned(q[:, h * width : (h + 1) * width], "q_norm.weight") @ key.T / math.sqrt(width)
        heads.append(torch.where(torch.ones(seq, seq).tril() > 0, scores, -torch.inf).softmax(-1) @ v)
    residual = residual + torch.cat(heads, dim=-1) @ p[attn + "o_proj.weight"].T
    x = normed(residual, at + "post_attention_layernorm.weight")
    gate, up = x @ p[at + "mlp.gate_proj.weight"].T, x @ p[at + "mlp.up_proj.weight"].T
    residual = residual + (gate * gate.sigmoid() * up) @ p[at + "mlp.down_proj.weight"].T
    logits = normed(residual, "model.norm.weight") @ p["model.embed_tokens.weight"].T
    assert torch.allclose(model(IDS[:1])[0], logits, atol=1e-4)


@pytest.mark.parametrize("config", [TINY, WINDOWED, ODD], ids=["full", "window", "odd"])
@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 4, 3], [11, 1], [1, 11]])
def test_a_cache_changes_nothing_but_the_time(config: ModelConfig, pieces: list[int]) -> None:
    model, cache, done = filled(config), PlainCache(config.n_layers), 0
    logits = []
    for n in pieces:
        logits.append(model(IDS[:, done : done + n], cache))
        done += n
    assert cache.length == 12
    assert torch.allclose(torch.cat(logits, dim=1), model(IDS), atol=1e-5)


def test_only_the_last_position_is_scored_if_asked() -> None:
    model = filled(TINY)
    assert torch.allclose(model(IDS, last_only=True), model(IDS)[:, -1:], atol=1e-6)


def test_a_padded_batch_gives_each_text_its_own_logits() -> None:
    model = filled(TINY)
    padded = torch.cat((torch.zeros(1, 4, dtype=torch.long), IDS[:1, :8]), dim=1)
    positions = torch.tensor([[0] * 4 + list(range(8))])
    mask = torch.ones(12, 12, dtype=torch.bool).tril()
    mask[:, :4] = False
    mask[:4, :4] = torch.eye(4, dtype=torch.bool)  # a row of nothing has no softmax
    logits = model(padded, positions=positions, attention_mask=mask)
    assert torch.allclose(logits[:, 4:], model(IDS[:1, :8]), atol=1e-5)


def test_more_tokens_than_the_context_are_refused() -> None:
    model, cache = filled(TINY), PlainCache(TINY.n_layers)
    assert model(torch.zeros(1, 24, dtype=torch.long), cache).shape == (1, 24, 50)
    with pytest.raises(ValueError, match="25 tokens do not fit the context of 24; shorten the prompt"):
        model(torch.zeros(1, 1, dtype=torch.long), cache)
    with pytest.raises(ValueError, match="25 tokens do not fit"):
        model(torch.zeros(1, 25, dtype=torch.long))


# Capture points


def test_capture_points_are_listed_in_the_order_of_the_flow() -> None:
    model, reached = filled(TINY), []
    for name, point in model.capture_points():
        point.register_forward_hook(functools.partial(note_name, reached, name))
    model(IDS)
    assert reached == [name for name, _ in model.capture_points()]
    in_a_layer = ["resid_pre", *(f"self_attn.{p}" for p in ("q", "k", "v", "attention_pattern"))]
    in_a_layer += ["resid_mid", "mlp.hidden", "resid_post"]
    layers = [f"layers.{i}.{point}" for i in range(2) for point in in_a_layer]
    assert reached == ["embedding", *layers, "normed", "logits"]


def test_what_is_inside_experts_has_no_capture_points_but_their_router_has() -> None:
    names = [name for name, _ in filled(ODD).capture_points()]
    assert [name for name in names if ".mlp." in name] == [
        "layers.0.mlp.router",
        "layers.1.mlp.router",
        "layers.2.mlp.hidden",
    ]
    seen = captured(filled(ODD), IDS)
    assert seen.keys() == set(names)
    assert seen["layers.1.mlp.router"].shape == (2, 12, 4)


def test_who_replaces_the_routers_scores_chooses_the_experts() -> None:
    model = filled(MIXED)
    moe = mixture(model)
    x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(3))
    only = torch.tensor([0.0, -torch.inf, 0.0, -torch.inf]).expand(1, 5, 4)
    moe.router.register_forward_hook(lambda module, args, out: only)
    expected = (moe.experts[0](x) + moe.experts[2](x)) / 2
    assert torch.allclose(moe(x), expected, atol=1e-5)


def note_name(reached: list[str], name: str, module: Any, args: Any, out: Tensor) -> None:
    reached.append(name)


def note_value(seen: dict[str, Tensor], name: str, module: Any, args: Any, out: Tensor) -> None:
    seen[name] = out


def replace_by_zeros(module: Any, args: Any, out: Tensor) -> Tensor:
    return torch.zeros_like(out)


def captured(model: Transformer, token_ids: Tensor) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}
    handles = [
        point.register_forward_hook(functools.partial(note_value, seen, name)) for name, point in model.capture_points()
    ]
    model(token_ids)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("config", [TINY, WINDOWED], ids=["full", "window"])
def test_every_capture_point_shows_what_flows_there(config: ModelConfig) -> None:
    model = filled(config)
    seen = captured(model, IDS)
    assert seen.keys() == dict(model.capture_points()).keys()
    assert torch.equal(seen["embedding"], model.model.embed_tokens(IDS))
    assert torch.equal(seen["layers.0.resid_pre"], seen["embedding"])
    assert torch.equal(seen["layers.0.resid_post"], seen["layers.1.resid_pre"])
    assert torch.equal(seen["normed"], model.model.norm(seen["layers.1.resid_post"]))
    assert torch.equal(seen["logits"], F.linear(seen["normed"], model.lm_head.weight))
    pattern = seen["layers.1.self_attn.attention_pattern"]
    assert pattern.shape == (2, 4, 12, 12)
    assert torch.allclose(pattern.sum(-1), torch.ones(2, 4, 12), atol=1e-5)
    assert pattern.triu(1).abs().max() == 0
    reach = config.sliding_window or 12
    assert pattern.tril(-reach).abs().max() == 0
    assert seen["layers.0.self_attn.q"].shape == (2, 4, 12, 4)
    assert seen["layers.0.self_attn.k"].shape == seen["layers.0.self_attn.v"].shape == (2, 2, 12, 4)
    assert seen["layers.0.mlp.hidden"].shape == (2, 12, TINY.d_mlp)


@pytest.mark.parametrize("config", [TINY, WINDOWED, ODD], ids=["full", "window", "odd"])
def test_watching_the_pattern_does_not_change_the_logits(config: ModelConfig) -> None:
    model = filled(config)
    assert torch.allclose(captured(model, IDS)["logits"], model(IDS), atol=1e-4)


def test_the_pattern_is_right_with_a_cache_too() -> None:
    model, cache = filled(TINY), PlainCache(TINY.n_layers)
    whole = captured(model, IDS)["layers.1.self_attn.attention_pattern"]
    model(IDS[:, :9], cache)
    seen: dict[str, Tensor] = {}
    point = dict(model.capture_points())["layers.1.self_attn.attention_pattern"]
    point.register_forward_hook(functools.partial(note_value, seen, "pattern"))
    model(IDS[:, 9:], cache)
    assert torch.allclose(seen["pattern"], whole[:, :, 9:], atol=1e-5)


def test_what_a_hook_returns_takes_the_place_of_what_flowed() -> None:
    model = filled(TINY)
    original = model(IDS)
    for name, point in model.capture_points():
        handle = point.register_forward_hook(replace_by_zeros)
        assert not torch.allclose(model(IDS), original, atol=1e-3), name
        handle.remove()
    assert torch.equal(model(IDS), original)


def test_a_capture_point_is_watched_only_while_a_hook_is_on_it() -> None:
    point = CapturePoint()
    handle = point.register_forward_hook(lambda module, args, out: None)
    assert point.is_watched
    handle.remove()
    assert not point.is_watched


# Where training starts


def test_the_same_seed_gives_the_same_model() -> None:
    first, again, other = (Transformer(TINY).initialise(seed) for seed in (5, 5, 6))
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_a_new_model_knows_nothing() -> None:
    model = Transformer(dataclasses.replace(ODD, d_model=64, qkv_bias=True)).initialise(seed=0)
    loss_nats = F.cross_entropy(model(IDS)[:, :-1].flatten(0, 1), IDS[:, 1:].flatten())
    assert loss_nats.item() == pytest.approx(math.log(50), abs=0.1)
    assert model.model.layers[0].self_attn.q_proj.bias.abs().max() == 0  # type: ignore[union-attr]


def test_tied_embeddings_are_one_parameter() -> None:
    model = Transformer(TINY)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert len(list(model.parameters())) == len(TINY.tensor_shapes())
    untied = Transformer(dataclasses.replace(TINY, tie_embeddings=False))
    assert untied.lm_head.weight is not untied.model.embed_tokens.weight


@pytest.mark.parametrize(
    "config",
    [TINY, dataclasses.replace(ODD, n_active_experts=4), dataclasses.replace(TINY, mlp_bias=True)],
    ids=["plain", "odd", "biases"],
)
def test_every_parameter_learns(config: ModelConfig) -> None:
    model = filled(dataclasses.replace(config, qkv_bias=True, qk_norm=True, tie_embeddings=False))
    F.cross_entropy(model(IDS)[:, :-1].flatten(0, 1), IDS[:, 1:].flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
