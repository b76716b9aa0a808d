"""Rotary positions: queries and keys are turned by their places, so that their product knows the distance between them.

It knows nothing of models: positions in, cosines and sines out (RoFormer, arXiv 2104.09864). Models that were trained
on short texts and then taught longer ones turn some pairs more slowly than before: that is RoPE scaling.

Reading order: rotate, rotary_table, rotary_frequencies, then RopeScaling and what each kind of it does to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from llm101.outside.given import real, whole
from llm101.outside.strict_json import shown


@dataclass(frozen=True)
class RopeScaling:
    """How rotary positions were stretched, so that a model reads longer texts than it was first trained on.

    Raises:
        ValueError: naming the field, the value it got and what would be allowed.

    Example:
        >>> scaling = RopeScaling("llama3", 32.0, original_context_length=8192)      # Llama 3.2
        >>> before, after = rotary_frequencies(500_000, 64), rotary_frequencies(500_000, 64, scaling)
        >>> [round(float(before[i] / after[i]), 2) for i in (0, 14, 16, 18, 31)]     # so many times more slowly
        [1.0, 1.0, 3.29, 32.0, 32.0]
    """

    kind: str
    """linear: all pairs turn more slowly. llama3, yarn: only the slow ones do; the fast ones, which tell neighbours
    apart, stay as they are."""
    factor: float
    """How many times longer the texts became, and how many times more slowly a pair turns."""
    original_context_length: int = 0
    """How many tokens the model could look at before (llama3, yarn)."""
    low_freq_factor: float = 1.0
    """Pairs with fewer turns than that within the original context are slowed down in full (llama3)."""
    high_freq_factor: float = 4.0
    """Pairs with more turns than that are left alone, and those in between slowed down in part (llama3)."""
    beta_slow: float = 1.0
    """As low_freq_factor (yarn)."""
    beta_fast: float = 32.0
    """As high_freq_factor (yarn)."""
    truncate: bool = True
    """Whether what lies between these two begins and ends with a whole pair (yarn)."""
    attention_factor: float | None = None
    """What turned queries and keys are multiplied by. None: 0.1 ln(factor) + 1 (yarn), 1 (the others)."""

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "llama3", "yarn"):
            raise ValueError(f"the kind of a RoPE scaling must be linear, llama3 or yarn, got {shown(self.kind)}")
        length = whole(self.original_context_length)
        if length is None or not (0 if self.kind == "linear" else 1) <= length <= 2**31:
            got = shown(self.original_context_length)
            raise ValueError(
                f"original_context_length of {self.kind} must be a whole number from 1 to 2**31, got {got}"
            )
        object.__setattr__(self, "original_context_length", length)  # the dataclass is frozen for everybody else
        for name in ("factor", "low_freq_factor", "high_freq_factor", "beta_slow", "beta_fast", "attention_factor"):
            value = real(getattr(self, name))
            if getattr(self, name) is None and name == "attention_factor":
                continue
            if value is None or not 0 < value < 1e9:
                raise ValueError(f"{name} must be a number above 0, got {shown(getattr(self, name))}")
            object.__setattr__(self, name, value)
        for low, high in (("low_freq_factor", "high_freq_factor"), ("beta_slow", "beta_fast")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{high} ({getattr(self, high)}) must be above {low} ({getattr(self, low)})")
        if not isinstance(self.truncate, bool):
            raise ValueError(f"truncate must be True or False, got {shown(self.truncate)}")

    @property
    def magnitude(self) -> float:
        """What cosines and sines are multiplied by: yarn sharpens attention, which longer texts make blurred."""
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * math.log(self.factor) + 1 if self.kind == "yarn" and self.factor > 1 else 1.0


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + d_head/2]) by its angle, so that q·k depends on distance alone.

    Example:
        >>> quarter_turn = torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])   # cos 90°, sin 90°
        >>> rotate(torch.tensor([1.0, 0.0]), *quarter_turn)
        tensor([0., 1.])
    """
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


def rotary_table(positions: Tensor, frequencies: Tensor, magnitude: float = 1.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles at some positions.

    Args:
        positions: whole numbers from 0, of any shape.
        frequencies: [d_head / 2], radians per position.
        magnitude: what both are multiplied by; see RopeScaling.

    Returns:
        Both [*positions.shape, d_head], float32: once for the first half of a head, and again for the second.
    """
    angles = positions.to(torch.float32)[..., None] * frequencies
    angles = torch.cat((angles, angles), dim=-1)
    if magnitude == 1:
        return angles.cos(), angles.sin()
    return angles.cos() * magnitude, angles.sin() * magnitude


def rotary_frequencies(theta: float, d_head: int, scaling: RopeScaling | None = None) -> Tensor:
    """By how many radians each pair of a head is turned from one position to the next, [d_head / 2].

    Pair i turns by theta**(-2i / d_head): the first pairs fast, the last ones slowly.

    Example:
        >>> rotary_frequencies(10_000, 4)
        tensor([1.0000, 0.0100])
    """
    frequencies = 1.0 / theta ** (torch.arange(0, d_head, 2).float() / d_head)
    if scaling is None:
        return frequencies
    slowed = frequencies / scaling.factor
    if scaling.kind == "linear":
        return slowed
    kept = _kept_by_llama3(frequencies, scaling) if scaling.kind == "llama3" else _kept_by_yarn(theta, d_head, scaling)
    return frequencies * kept + slowed * (1 - kept)


def _kept_by_llama3(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """How much of its speed each pair keeps, 0 to 1, by how often it turns within the original context."""
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    turns = scaling.original_context_length / (2 * math.pi / frequencies)
    return ((turns - low) / (high - low)).clamp(0, 1)


def _kept_by_yarn(theta: float, d_head: int, scaling: RopeScaling) -> Tensor:
    """The same by a pair's number: it falls from the pair that turns beta_fast times to the one that turns beta_slow
    times (arXiv 2309.00071, section 3.2)."""

    def pair_that_turns(times: float) -> float:
        return d_head * math.log(scaling.original_context_length / (2 * math.pi * times)) / (2 * math.log(theta))

    first, last = pair_that_turns(scaling.beta_fast), pair_that_turns(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, d_head - 1)
    width = last - first if last != first else 0.001
    return 1 - ((torch.arange(d_head // 2).float() - first) / width).clamp(0, 1)
