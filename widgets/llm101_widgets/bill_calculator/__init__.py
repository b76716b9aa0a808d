"""BillCalculator: what a training run takes, while the reader moves its size, the hardware and the price.

A machine is any object with `name`, `flops` (operations per second, at most), `watts` and `dollars_per_hour`: 0
where it has no price, as a machine of the reader's own has none."""

from collections.abc import Iterable
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.bill_calculator.picture import as_svg, as_text
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html

COUNTS = ("n_parameters", "n_tokens", "n_machines", "utilisation", "co2_per_kwh", "bytes_per_token")


class BillCalculator(anywidget.AnyWidget):
    """The arithmetic is done in the page, so it goes on without a kernel; `figures` does the same here."""

    _esm, _css = page_of("bill_calculator", root="llm101-bill-root")
    # the reader sets, here or in the page
    n_parameters, n_tokens, n_machines = t.Float().tag(sync=True), t.Float().tag(sync=True), t.Float().tag(sync=True)
    machine, utilisation = t.Unicode().tag(sync=True), t.Float().tag(sync=True)
    dollars_per_hour = t.Float(None, allow_none=True).tag(sync=True)  # None: the machine's own price
    # the page reads; `start` is what its button goes back to
    machines, start = t.Dict().tag(sync=True), t.Dict().tag(sync=True)
    co2_per_kwh, bytes_per_token = t.Float().tag(sync=True), t.Float().tag(sync=True)

    def __init__(self, machines: Iterable[Any], *, n_parameters: float, n_tokens: float, n_machines: float,
                 machine: str | None = None, utilisation: float = 0.4, dollars_per_hour: float | None = None,
                 co2_per_kwh: float, bytes_per_token: float = 5.0) -> None:  # fmt: skip
        known = {m.name: {"flops": m.flops, "watts": m.watts, "price": m.dollars_per_hour} for m in machines}
        if not known:
            raise ValueError("there is no machine to choose from: the list of machines is empty")
        start = {"n_parameters": n_parameters, "n_tokens": n_tokens, "n_machines": n_machines}
        start |= {"machine": machine or next(iter(known)), "utilisation": utilisation}
        start |= {"dollars_per_hour": dollars_per_hour}
        super().__init__(machines=known, start=start, co2_per_kwh=co2_per_kwh, bytes_per_token=bytes_per_token, **start)

    @t.validate("machine", "dollars_per_hour", *COUNTS)
    def _is_possible(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name == "machine" and value not in self.machines:
            raise ValueError(f"machine must be one of {', '.join(self.machines)}, got {value!r}")
        if name in COUNTS and not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a number above 0, got {value}")
        if name == "utilisation" and value > 1:
            raise ValueError(f"utilisation is a share of the peak, from 0 to 1, got {value}")
        if name == "dollars_per_hour" and value is not None and value < 0:
            raise ValueError(f"dollars_per_hour cannot be below 0, got {value}")
        return value

    def figures(self) -> dict[str, float | None]:
        """Operations, hours of one machine, days, dollars (None: no price), MWh, t of CO2, GB of file, TB of text."""
        machine = self.machines[self.machine]
        price = (machine["price"] or None) if self.dollars_per_hour is None else self.dollars_per_hour
        flop = 6 * self.n_parameters * self.n_tokens
        hours = flop / (machine["flops"] * self.utilisation) / 3600
        mwh = hours * machine["watts"] / 1e6
        return {
            **{"flop": flop, "hours": hours, "days": hours / self.n_machines / 24},
            **{"dollars": None if price is None else hours * price, "mwh": mwh, "co2_tonnes": mwh * self.co2_per_kwh},
            **{"file_gb": self.n_parameters * 2 / 1e9, "text_tb": self.n_tokens * self.bytes_per_token / 1e12},
        }

    def _run(self) -> tuple[str, str]:
        """What is trained, and on what, in words."""
        on = f"{self.n_machines:,.0f} × {self.machine} at {self.utilisation:.0%}"
        return f"{self.n_parameters:.3g} parameters, {self.n_tokens:.3g} tokens", on

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | in_html(as_svg(*self._run(), self.figures()), repr(self)), metadata

    def __repr__(self) -> str:
        return f"{', on '.join(self._run())}: {as_text(self.figures())}"
