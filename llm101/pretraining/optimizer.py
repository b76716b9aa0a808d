"""The optimizer: how much each parameter moves, given its gradient.

It knows parameters and gradients, nothing of data or files. Two rules share the work: *Muon* turns the
momentum of each matrix inside the layers into a step of equal size in all directions (K. Jordan 2024,
https://kellerjordan.github.io/posts/muon/); *AdamW* (arXiv 1711.05101) moves the embedding and the norms.
Both are PyTorch's own.

Reading order: learning_rate_factor (the schedule), Optimizer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from llm101.model import Transformer


def learning_rate_factor(step: int, n_steps: int, warmup_steps: int, decay_steps: int) -> float:
    """The schedule: up in a line, level, down in a line to zero ("trapezoid", arXiv 2405.18392).

    Example:
        >>> [learning_rate_factor(step, n_steps=8, warmup_steps=2, decay_steps=4) for step in range(8)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    return min(1.0, (step + 1) / max(warmup_steps, 1), (n_steps - step) / max(decay_steps, 1))


class Optimizer:
    """Muon for the matrices inside the layers, AdamW for everything else.

    Args:
        model: its parameters are moved in place.
        matrix_lr: Muon's learning rate; a step changes a square matrix's singular values by about this much.
        other_lr: AdamW's, for embeddings, norms and biases.
        weight_decay: how strongly matrices are pulled towards zero.
        muon: False leaves all parameters to AdamW, at other_lr.
    """

    def __init__(
        self, model: Transformer, matrix_lr: float, other_lr: float, weight_decay: float, *, muon: bool = True
    ) -> None:
        self.names = {p: name for name, p in model.named_parameters()}
        matrices = [p for p, name in self.names.items() if muon and p.ndim == 2 and ".layers." in name]
        others = [p for p in self.names if all(p is not m for m in matrices)]
        decayed = [p for p in others if p.ndim == 2]
        groups = [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW([g for g in groups if g["params"]], lr=other_lr, betas=(0.9, 0.95), fused=True)
        ]
        if matrices:
            self.parts.append(torch.optim.Muon(matrices, lr=matrix_lr, weight_decay=weight_decay, momentum=0.95))
        self._groups = [(group, group["lr"]) for part in self.parts for group in part.param_groups]

    def step(self, factor: float) -> None:
        """Move the parameters once, at `factor` times the learning rates, and forget the gradients."""
        for group, lr in self._groups:
            group["lr"] = lr * factor
        for part in self.parts:
            part.step()
            part.zero_grad()

    def state_tensors(self) -> dict[str, Tensor]:
        """Everything it remembers between steps, by name: what a checkpoint must hold to go on unchanged."""
        return {
            f"{name}|{key}": value
            for part in self.parts
            for p, name in self.names.items()
            for key, value in part.state.get(p, {}).items()
        }

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take over what state_tensors gave."""
        parameters = {name: p for p, name in self.names.items()}
        part_of = {p: part for part in self.parts for group in part.param_groups for p in group["params"]}
        for name, value in tensors.items():
            parameter, key = name.split("|")
            p = parameters[parameter]
            part_of[p].state[p][key] = value.clone() if key == "step" else value.to(p.device, copy=True)
