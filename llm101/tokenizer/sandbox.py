"""Runs a template that came with a model: a small program by a stranger, kept away from everything but its messages.

jinja2's sandbox lets it reach no attribute that could lead elsewhere. What the sandbox leaves open is closed here: a
template may loop without end, or make one text a million times longer, so its steps are counted and whatever it makes
is measured. It knows nothing of tokens or of what the messages mean.

Reading order: run_template, Suspicious (what it may compute), steps_at_most.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, wraps
from types import FrameType
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_STEPS = 300_000
"""Lines that a template may run through; a conversation of a hundred messages takes a few thousand."""
LONGEST_SOURCE = 200_000
"""Characters; the longest templates in use have about 20,000."""
LONGEST_RESULT = 2_000_000
"""Characters, or things in a row: more than most models' context."""
LONGEST_PRODUCT = 50_000_000
"""A text's length times another's: the most that `replace` or `join` can make of them."""


class ChatTemplateError(ValueError):
    """A template that cannot be run, or messages that it does not take."""


def run_template(source: str, values: Mapping[str, Any]) -> str:
    """What a template makes of some values.

    Raises:
        ChatTemplateError: it is no template, reaches for what it may not have, does not end, or itself says why not.

    Example:
        >>> run_template("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        ...              {"messages": [{"role": "user", "content": "Hi!"}]})
        '<user>Hi!'
        >>> run_template("{{ messages.__class__.__mro__ }}", {"messages": []})
        Traceback (most recent call last):
        llm101.tokenizer.sandbox.ChatTemplateError: the chat template reaches for what it may not have: ...
    """
    template = _compiled(source)
    try:
        with steps_at_most(MOST_STEPS, str(template.filename)):
            return template.render(values)
    except ChatTemplateError:
        raise
    except SecurityError as error:
        raise ChatTemplateError(f"the chat template reaches for what it may not have: {error}") from None
    except RecursionError:
        raise ChatTemplateError("the chat template does not end: it calls itself") from None
    except Exception as error:  # it is a program: whatever a program can raise
        raise ChatTemplateError(f"the chat template fails: {type(error).__name__}: {_line(error)}") from None


@lru_cache(maxsize=16)
def _compiled(source: str) -> Template:
    if len(source) > LONGEST_SOURCE:
        raise ChatTemplateError(f"the chat template has {len(source):,} characters; at most {LONGEST_SOURCE:,} are run")
    try:
        template = Suspicious().from_string(source)
    except TemplateError as error:
        raise ChatTemplateError(f"the chat template is no template that jinja2 reads: {_line(error)}") from None
    except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
        raise ChatTemplateError("the chat template is nested too deeply to be read") from None
    return template


class Suspicious(ImmutableSandboxedEnvironment):
    """jinja2's sandbox, in which no single step can make something huge either."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        # Blanks are cut as Hugging Face's chat templates are written for; nothing is computed before it is asked for.
        extensions = ["jinja2.ext.loopcontrols", Generation]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, optimized=False)
        self.filters = {name: _measured(filter_) for name, filter_ in self.filters.items()}
        self.filters |= {"tojson": _to_json, "format": lambda text, *values: self.call_binop(None, "%", text, values)}
        del self.globals["lipsum"]  # text without end, for nobody
        self.globals |= {"raise_exception": _refuse, "strftime_now": lambda form: datetime.now().strftime(form)}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """left + right and the like."""
        if operator == "**":
            raise SecurityError("powers, which no chat needs")
        if operator == "*":
            _check_product(left, right)
        if operator == "%":
            _check_widths(left)
        return _check_size(super().call_binop(context, operator, left, right))

    def call(self, context: Any, function: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """function(...), such as a method of a text."""
        subject = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        _check_arguments(subject, args, kwargs)
        if getattr(function, "__name__", "").startswith("format"):
            _check_widths(subject)
        return _check_size(super().call(context, function, *args, **kwargs))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """a ~ b ~ c is read as a sum of texts, so that it is measured as one."""
        tree = super()._parse(source, name, filename)
        _without_concat(tree)
        return tree


class Generation(Extension):
    """{% generation %} ... {% endgeneration %}: marks what the model has written, for those who train it."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 wants it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """What stands between the two."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@contextmanager
def steps_at_most(most: int, filename: str) -> Iterator[None]:
    """Count the lines that code from that file runs through in this thread, and end it when they are too many."""
    n_steps = 0

    def look(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal n_steps
        if frame.f_code.co_filename != filename:
            return None
        n_steps += 1
        if n_steps > most:
            raise ChatTemplateError(f"the chat template does not end: stopped after {most:,} steps")
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        yield
    finally:
        sys.settrace(before)


def _without_concat(node: nodes.Node) -> None:
    for name, value in node.iter_fields():
        items = value if isinstance(value, list) else [value]
        replaced = [_sum(item) if isinstance(item, nodes.Concat) else item for item in items]
        setattr(node, name, replaced if isinstance(value, list) else replaced[0])
        for item in replaced:
            if isinstance(item, nodes.Node):
                _without_concat(item)


def _sum(concat: nodes.Concat) -> nodes.Expr:
    total: nodes.Expr = nodes.Const("")
    for part in concat.nodes:
        total = nodes.Add(total, nodes.Filter(part, "string", [], [], None, None))
    return total


def _measured(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        _check_arguments(None, args, kwargs)
        return _check_size(function(*args, **kwargs))

    return measured


def _check_arguments(subject: Any, args: Any, kwargs: Mapping[str, Any]) -> None:
    given = [subject, *args, *kwargs.values()]
    _check_product(*(value for value in given if isinstance(value, (str, int, list, tuple))))


def _check_product(*factors: Any) -> None:
    total = 1
    for factor in factors:
        total *= max(1, len(factor) if hasattr(factor, "__len__") else abs(int(factor)))
    if total > LONGEST_PRODUCT and any(hasattr(factor, "__len__") for factor in factors):
        raise SecurityError("a text of immense length")


def _check_widths(form: Any) -> None:
    """ "%1000000000d" asks for a billion characters."""
    if isinstance(form, str) and re.search(r"\d{5}", form):
        raise SecurityError("a text of immense length")


def _check_size(value: Any) -> Any:
    if isinstance(value, (str, list, tuple)) and len(value) > LONGEST_RESULT:
        raise SecurityError("a text of immense length")
    if isinstance(value, int) and value.bit_length() > 256:
        raise SecurityError("an immense number")
    return value


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **settings: Any) -> str:
    """As chat templates expect it: letters stay letters, and < and > are not spelled out for web pages."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **settings)


def _refuse(message: str) -> None:
    raise ChatTemplateError(f"the chat template refuses these messages: {_line(message)}")


def _line(words: object) -> str:
    return " ".join(str(words).split())[:200]
