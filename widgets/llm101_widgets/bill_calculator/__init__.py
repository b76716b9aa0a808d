"""BillCalculator: what a training run takes, while the reader moves its size, the hardware and the price.

It takes a bill, a dataclass with the settings of SETTINGS, `machine`, `co2_per_kwh`, `bytes_per_token` and
`bytes_per_parameter`, which refuses what makes no sense (ValueError) and has the figures that picture.py shows. A
machine is any object with `name`, `flops` (operations per second, at most), `watts` and `dollars_per_hour`: 0 where it
has no price, as a machine of the reader's own has none."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import anywidget
import traitlets as t

from llm101_widgets.bill_calculator.picture import as_svg, as_text
from llm101_widgets.page import page_of
from llm101_widgets.svg import in_html

SETTINGS = ("n_parameters", "n_tokens", "n_machines", "utilisation", "dollars_per_hour")


class BillCalculator(anywidget.AnyWidget):
    """The page does the arithmetic too, so that it goes on without a kernel; here `bill` does it.

    Args:
        bill: what the calculator starts with; the other settings make a copy of it, with others in their place.
        machines: those that can be chosen, the bill's own among them.
    """

    _esm, _css = page_of("bill_calculator", root="llm101-bill-root")
    # the reader sets, here or in the page
    n_parameters, n_tokens, n_machines = t.Float().tag(sync=True), t.Float().tag(sync=True), t.Float().tag(sync=True)
    machine, utilisation = t.Unicode().tag(sync=True), t.Float().tag(sync=True)
    dollars_per_hour = t.Float(None, allow_none=True).tag(sync=True)  # None: the machine's own price
    # the page reads; `start` is what its button goes back to
    machines, start = t.Dict().tag(sync=True), t.Dict().tag(sync=True)
    co2_per_kwh, bytes_per_token = t.Float().tag(sync=True), t.Float().tag(sync=True)
    bytes_per_parameter = t.Float().tag(sync=True)

    def __init__(self, bill: Any, *, machines: Iterable[Any]) -> None:
        self._bill, self._machines = bill, {machine.name: machine for machine in machines}
        if not self._machines:
            raise ValueError("there is no machine to choose from: the list of machines is empty")
        start = {name: getattr(bill, name) for name in SETTINGS} | {"machine": bill.machine.name}
        rates = {name: getattr(bill, name) for name in ("co2_per_kwh", "bytes_per_token", "bytes_per_parameter")}
        known = {
            name: {of: getattr(machine, of) for of in ("flops", "watts", "dollars_per_hour")}
            for name, machine in self._machines.items()
        }
        super().__init__(machines=known, start=start, **start, **rates)

    @t.validate("machine", *SETTINGS)
    def _is_possible(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if name != "machine":
            replace(self._bill, **{name: value})  # the bill refuses what makes no sense
        elif value not in self._machines:
            raise ValueError(f"machine must be one of {', '.join(self._machines)}, got {value!r}")
        return value

    @property
    def bill(self) -> Any:
        """The bill of what is set now."""
        settings = {name: getattr(self, name) for name in SETTINGS}
        return replace(self._bill, machine=self._machines[self.machine], **settings)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return data | in_html(as_svg(self.bill), repr(self)), metadata

    def __repr__(self) -> str:
        return as_text(self.bill)
