"""The monitor's curves as a picture, for places where no widget can run. It knows nothing of widgets."""

from __future__ import annotations

from collections.abc import Sequence

from llm101_widgets.svg import picture

WIDTH, HEIGHT = 560, 200  # of the area between the axes, in the picture's units
Curve = Sequence[Sequence[float]]


def thinned(curve: Curve, most: int) -> list[list[float]]:
    """At most so many points, each the middle of its neighbours, so that no stretch is forgotten.

    Example:
        >>> thinned([[1, 4.0], [2, 2.0], [3, 1.0]], most=2)
        [[1.5, 3.0], [3.0, 1.0]]
    """
    size = -(-len(curve) // most)
    if size <= 1:
        return [list(point) for point in curve]
    groups = [curve[at : at + size] for at in range(0, len(curve), size)]
    return [[sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)] for group in groups]


def as_svg(train: Curve, valid: Curve, steps: int) -> str:
    """Bits per byte over steps: a thin line for the batches, a thick dashed one with dots for unknown text.

    Example:
        >>> as_svg([[1, 4.0], [2, 2.0]], [[2, 2.5]], steps=2).count("<circle")
        1
    """
    top = max([1.0, *(y for _, y in [*train, *valid])])

    def place(point: Sequence[float]) -> str:
        return f"{WIDTH * point[0] / max(steps, 1):.1f},{HEIGHT * (1 - point[1] / top):.1f}"

    lines = [f'<path d="M0,0V{HEIGHT}H{WIDTH}" fill="none" stroke="#555"/>']
    for value in range(int(top) + 1):
        y = HEIGHT * (1 - value / top)
        lines.append(f'<path d="M0,{y:.1f}H{WIDTH}" stroke="#ddd"/>')
        lines.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    lines.append(f'<polyline points="{" ".join(map(place, train))}" fill="none" stroke="#b55d00"/>')
    dashed = 'fill="none" stroke="#1565c0" stroke-width="2.5" stroke-dasharray="7 4"'
    lines.append(f'<polyline points="{" ".join(map(place, valid))}" {dashed}/>')
    for point in valid:
        x, y = place(point).split(",")
        lines.append(f'<circle cx="{x}" cy="{y}" r="4" fill="#1565c0"/>')
    words = "bits per byte: batches (thin line), text not trained on (dots)"
    lines.append(f'<text x="0" y="-10">{words}</text>')
    lines.append(f'<text x="{WIDTH}" y="{HEIGHT + 18}" text-anchor="end">{steps:,} steps</text>')
    return picture(words, lines, (-40, -30, WIDTH + 60, HEIGHT + 60))
