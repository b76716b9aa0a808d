"""The baseline of the race: nanoGPT's published recipe for Shakespeare on a CPU, written plainly.

Nothing of llm101 is in it. Settings from https://github.com/karpathy/nanoGPT (README, "I only have a macbook";
config/train_shakespeare_char.py; defaults of train.py and model.py): 4 layers, 4 heads, d_model 128, context 64,
12 rows per step, 2,000 steps, no dropout, no biases, AdamW at 1e-3 falling to 1e-4 along a cosine after 100 steps
of warm-up, betas 0.9 and 0.99, weight decay 0.1, gradients clipped to 1. The README reports a loss of 1.88.

Reading order: PlainGPT, Block, training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_LAYERS, N_HEADS, D_MODEL, CONTEXT_LENGTH = 4, 4, 128, 64
ROWS, STEPS, WARMUP_STEPS = 12, 2000, 100
LEARNING_RATE, LOWEST_LEARNING_RATE = 1e-3, 1e-4
REACHED_NATS = 1.8913
"""Its loss in the end, as measured by bench_race.py (seed 1337)."""


class PlainGPT(nn.Module):
    """GPT-2's shape: learned positions, LayerNorm, GELU, output tied to the embedding."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, D_MODEL)
        self.positions = nn.Embedding(CONTEXT_LENGTH, D_MODEL)
        self.blocks = nn.ModuleList(Block() for _ in range(N_LAYERS))
        self.norm = nn.LayerNorm(D_MODEL, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                into_residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * N_LAYERS) if into_residual else 0.02)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Logits [batch, seq, vocab_size] for token_ids [batch, seq]."""
        x = self.tokens(token_ids) + self.positions(torch.arange(token_ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.tokens.weight.T


class Block(nn.Module):
    """Attention, then an MLP four times as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(D_MODEL, bias=False), nn.LayerNorm(D_MODEL, bias=False)
        self.qkv = nn.Linear(D_MODEL, 3 * D_MODEL, bias=False)
        self.out = nn.Linear(D_MODEL, D_MODEL, bias=False)
        self.up = nn.Linear(D_MODEL, 4 * D_MODEL, bias=False)
        self.down = nn.Linear(4 * D_MODEL, D_MODEL, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, seq, _ = x.shape
        q, k, v = (
            t.view(batch, seq, N_HEADS, -1).transpose(1, 2) for t in self.qkv(self.norm_1(x)).split(D_MODEL, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, seq, D_MODEL)
        x = x + self.out(mixed)
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


def learning_rate(step: int) -> float:
    """Warm-up, then half a cosine."""
    if step < WARMUP_STEPS:
        return LEARNING_RATE * (step + 1) / (WARMUP_STEPS + 1)
    progress = (step - WARMUP_STEPS) / (STEPS - WARMUP_STEPS)
    return LOWEST_LEARNING_RATE + (LEARNING_RATE - LOWEST_LEARNING_RATE) * (1 + math.cos(math.pi * progress)) / 2


def training(token_ids: Tensor, vocab_size: int, seed: int = 1337, steps: int = STEPS) -> Iterator[PlainGPT]:
    """Train on token_ids [n]; yields the model after every step."""
    torch.manual_seed(seed)
    model = PlainGPT(vocab_size)
    matrices, norms = ([p for p in model.parameters() if p.ndim == n] for n in (2, 1))
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        starts = torch.randint(len(token_ids) - CONTEXT_LENGTH, (ROWS,)).tolist()
        rows = torch.stack([token_ids[start : start + CONTEXT_LENGTH + 1] for start in starts])
        logits = model(rows[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield model
