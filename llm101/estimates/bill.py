"""The bill of a training run: from its size and the hardware to hours, dollars, energy and CO2.

The formulas are simple and certain; what goes into them is not. It knows nothing of how training works.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from llm101.estimates.ledger import fact
from llm101.estimates.machines import Machine, machine


@dataclass(frozen=True)
class BillLine:
    """One figure of a bill."""

    name: str
    value: float
    unit: str
    formula: str
    source: str

    @property
    def shown(self) -> str:
        """The value and its unit, as one would say it.

        Example:
            >>> BillLine("file", 137.953, "GB", "", "").shown, BillLine("time", 4_018_000, "days", "", "").shown
            ('138 GB', '11,000 years')
        """
        if self.unit == "dollars":
            return f"${_rounded(self.value)}"
        if self.unit == "days" and self.value > 1000:
            return f"{_rounded(self.value / 365.25)} years"
        return f"{_rounded(self.value)} {self.unit}"


@dataclass(frozen=True)
class Bill:
    """What a training run takes; without arguments, the article's own: 6,000 GPUs, 12 days, $2M.

    Raises:
        ValueError: a number that is not above 0, or a utilisation above 1.

    Example:
        >>> bill = Bill()
        >>> round(bill.days, 1), round(bill.dollars / 1e6, 2), round(bill.file_gb)
        (11.9, 1.98, 138)
        >>> Bill(n_machines=1, machine=machine("laptop")).line("time").shown
        '79,400 years'
    """

    n_parameters: float = field(default_factory=lambda: fact("llama_2_70b_parameters").value)
    n_tokens: float = field(default_factory=lambda: fact("llama_2_tokens").value)
    machine: Machine = field(default_factory=lambda: machine("a100"))
    n_machines: float = field(default_factory=lambda: fact("article_gpus").value)
    utilisation: float = 0.43
    """Share of the machine's peak that is reached. Not published; 0.43 is what Llama 2 70B's GPU-hours come to."""
    dollars_per_hour: float | None = None
    """Of one machine; the machine's own price if left out."""
    co2_per_kwh: float = field(default_factory=lambda: fact("co2_per_kwh").value)
    bytes_per_token: float = 5.0
    """Of text. English has 4 to 5."""
    bytes_per_parameter: float = 2.0

    def __post_init__(self) -> None:
        names = ("n_parameters", "n_tokens", "n_machines", "utilisation", "co2_per_kwh", "bytes_per_token")
        for name in (*names, "bytes_per_parameter"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number above 0, got {getattr(self, name)}")
        if self.utilisation > 1:
            raise ValueError(f"utilisation is a share of the peak, from 0 to 1, got {self.utilisation}")
        if self.dollars_per_hour is not None and self.dollars_per_hour < 0:
            raise ValueError(f"dollars_per_hour cannot be below 0, got {self.dollars_per_hour}")

    @property
    def flop(self) -> float:
        """Floating-point operations of the whole run: 6 per parameter and token."""
        return 6 * self.n_parameters * self.n_tokens

    @property
    def machine_hours(self) -> float:
        """Hours of one machine: GPU-hours, if it is a GPU."""
        return self.flop / (self.machine.flops * self.utilisation) / 3600

    @property
    def days(self) -> float:
        """From start to end, if nothing breaks."""
        return self.machine_hours / self.n_machines / 24

    @property
    def dollars(self) -> float:
        """Of the final run only: no people, no failed runs, no experiments."""
        price = self.machine.dollars_per_hour if self.dollars_per_hour is None else self.dollars_per_hour
        return self.machine_hours * price

    @property
    def energy_mwh(self) -> float:
        """At the most that a machine may draw, without cooling and everything around it."""
        return self.machine_hours * self.machine.watts / 1e6

    @property
    def co2_tonnes(self) -> float:
        """From that energy."""
        return self.energy_mwh * self.co2_per_kwh

    @property
    def file_gb(self) -> float:
        """The parameters, written to a file."""
        return self.n_parameters * self.bytes_per_parameter / 1e9

    @property
    def text_tb(self) -> float:
        """The text that the tokens were."""
        return self.n_tokens * self.bytes_per_token / 1e12

    def lines(self) -> list[BillLine]:
        """Every figure with its formula, unit and source."""
        m, peak = self.machine.name, f"{self.machine.name}'s data"
        rule = "Kaplan et al. 2020, arXiv 2001.08361, section 2.1"
        return [
            BillLine("text", self.text_tb, "TB", "tokens × bytes per token", "4 to 5 bytes per token of English"),
            BillLine("operations", self.flop, "FLOP", "6 × parameters × tokens", rule),
            BillLine(
                f"hours of one {m}", self.machine_hours, "hours", "operations ÷ (peak × utilisation) ÷ 3600", peak
            ),
            BillLine("time", self.days, "days", f"hours ÷ {self.n_machines:,.0f} machines ÷ 24", "arithmetic"),
            BillLine("cost", self.dollars, "dollars", "hours × price of an hour", "the final run only"),
            BillLine("energy", self.energy_mwh, "MWh", f"hours × {self.machine.watts:,.0f} W", peak),
            BillLine("CO2", self.co2_tonnes, "t", f"energy × {self.co2_per_kwh:.2f} kg per kWh", "arXiv 2307.09288"),
            BillLine("file", self.file_gb, "GB", f"parameters × {self.bytes_per_parameter:g} bytes", "arithmetic"),
        ]

    def line(self, name: str) -> BillLine:
        """One figure by its name.

        Raises:
            ValueError: there is no such line.
        """
        for line in self.lines():
            if line.name == name:
                return line
        raise ValueError(f"no line {name!r} in the bill; there are {', '.join(line.name for line in self.lines())}")

    def __repr__(self) -> str:
        return "\n".join(f"{line.name:<20} {line.shown:>18}   {line.formula}" for line in self.lines())

    def _repr_markdown_(self) -> str:
        rows = [f"| {line.name} | {line.shown} | {line.formula} | {line.source} |" for line in self.lines()]
        return "\n".join(["| | | how | from |", "|---|--:|---|---|", *rows])


def _rounded(value: float) -> str:
    """Three figures that mean something.

    Example:
        >>> [_rounded(value) for value in (8.27e23, 1_713_000, 137.95, 11.93, 0.5, 0)]
        ['8.27e+23', '1,710,000', '138', '11.9', '0.5', '0']
    """
    three = float(f"{value:.3g}")
    if three >= 1e12:
        return f"{three:.2e}"
    return f"{three:,.0f}" if three >= 100 or three == 0 else f"{three:g}"
