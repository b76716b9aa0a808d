"""A bill as a picture and in words, for places where no widget can run. It knows nothing of widgets.

A bill is an object with the settings of a run and, computed from them, `flop`, `machine_hours`, `days`, `dollars`,
`energy_mwh`, `co2_tonnes`, `file_gb` and `text_tb`. Reading order: rounded and duration (how figures are said, as in
figures.js), rows, as_svg, as_text.
"""

from __future__ import annotations

from typing import Any

from llm101_widgets.svg import picture, plain

WIDTH, ROW = 460, 26  # of the table, and of one of its rows, in the picture's units


def rounded(value: float) -> str:
    """Three figures that mean something.

    Example:
        >>> rounded(1_713_791), rounded(0.4321), rounded(8.277e23), rounded(0)
        ('1,710,000', '0.432', '8.28 × 10²³', '0')
    """
    three = float(f"{value:.3g}")
    if three == 0 or 1e-4 <= three < 1e12:
        return f"{three:,.0f}" if three >= 100 else f"{three:g}"
    digits, power = f"{three:.2e}".split("e")
    return f"{digits} × 10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def duration(days: float) -> str:
    """A time in the unit that one would say it in.

    Example:
        >>> [duration(days) for days in (4_018_000, 11.9, 0.5, 0.01, 0.0001)]
        ['11,000 years', '11.9 days', '12 hours', '14.4 minutes', '8.64 seconds']
    """
    for unit, unit_days, least in (("years", 365.25, 1000), ("days", 1, 2), ("hours", 1 / 24, 1 / 12)):
        if days >= least:
            return f"{rounded(days / unit_days)} {unit}"
    minutes = days * 24 * 60
    return f"{rounded(minutes)} minutes" if minutes >= 2 else f"{rounded(minutes * 60)} seconds"


def run_of(bill: Any) -> tuple[str, str]:
    """What is trained, and on what."""
    on = f"{bill.n_machines:,.0f} × {bill.machine.name} at {bill.utilisation:.0%}"
    return f"{bill.n_parameters:.3g} parameters, {bill.n_tokens:.3g} tokens", on


def has_price(bill: Any) -> bool:
    """Whether anybody has set one; without it the bill's dollars say nothing."""
    return bill.dollars_per_hour is not None or bill.machine.dollars_per_hour > 0


def rows(bill: Any) -> list[tuple[str, str]]:
    """The lines of the bill, each with its value."""
    return [
        ("Text", f"{rounded(bill.text_tb)} TB"),
        ("Operations", f"{rounded(bill.flop)} FLOP"),
        ("Machine-hours", rounded(bill.machine_hours)),
        ("Time", duration(bill.days)),
        ("Cost", f"${rounded(bill.dollars)}" if has_price(bill) else "no price is set"),
        ("Energy", f"{rounded(bill.energy_mwh)} MWh"),
        ("CO₂", f"{rounded(bill.co2_tonnes)} t"),
        ("File", f"{rounded(bill.file_gb)} GB"),
    ]


def as_svg(bill: Any) -> str:
    """The bill as a table: what is trained and on what stand above it."""
    parts = [
        f'<text x="0" y="{18 * i}" font-weight="bold">{plain(words)}</text>' for i, words in enumerate(run_of(bill))
    ]
    for i, (name, value) in enumerate(rows(bill)):
        y = 52 + ROW * i
        parts.append(f'<path d="M0,{y - 18}H{WIDTH}" stroke="#ccc"/><text x="0" y="{y}">{name}</text>')
        parts.append(f'<text x="{WIDTH}" y="{y}" text-anchor="end" font-weight="bold">{plain(value)}</text>')
    return picture("The bill of a training run", parts, (-12, -20, WIDTH + 24, 52 + ROW * 8 + 10))


def as_text(bill: Any) -> str:
    """The bill in a line, all figures of its sums."""
    cost = f"${bill.dollars:,.0f}" if has_price(bill) else "no price is set"
    takes = f"{bill.flop:.3g} FLOP, {bill.machine_hours:,.0f} hours, {bill.days:,.1f} days, {cost}"
    rest = f"{bill.energy_mwh:,.0f} MWh, {bill.co2_tonnes:,.0f} t of CO2, {bill.file_gb:.3g} GB"
    return f"{', on '.join(run_of(bill))}: {takes}, {rest}"
