"""Steering: one latent held at a strength of our choosing, and what the text is worth then.

Reading order: steering.py, study.py (texts measured), steerable_twin.py (steered and not, side by side).
"""

from llm101.interpretability.steering.steerable_twin import SteerableTwin
from llm101.interpretability.steering.steering import EVERYWHERE, NEVER, Steering, add, clamp, steered

__all__ = ["EVERYWHERE", "NEVER", "SteerableTwin", "Steering", "add", "clamp", "steered"]
