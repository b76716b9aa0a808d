"""Every exercise of every chapter: the stub fails its check, the solution passes, and so does what the hints say.

Only the cells that an exercise needs are run: those above it that define a name which it uses.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

BOOK = Path(__file__).parents[1] / "book"

AS_HINTED = {
    "next_pieces": (
        "ids = {2[0]}(text)\n    logits = {2[1]}(ids)\n    best = logits{2[2]}\n    return [{2[3]} for i in best]"
    ),
    "decode_bfloat16": (
        "bits = {1[0]}\n"
        "    sign, exponent, mantissa = int(bits[0], 2), int(bits[1:9], 2), int(bits[9:], 2)\n"
        "    return (-1) ** sign * 2 ** (exponent - 127) * (1 + mantissa / 128)"
    ),
    "gpt2_parameters": (
        "embeddings = {3[0]}\n"
        "    return embeddings // 768 * d_model + n_layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model"
    ),
    "nucleus_size": (
        "mass = 0\n"
        "    for n, p in enumerate({2[0]}):\n"
        "        mass += p\n"
        "        if mass >= top_p:\n"
        "            return n + 1"
    ),
    "one_sentence": (
        'so_far = ""\n'
        "    for token in {1[0]}:\n"
        "        for c in token.{1[1]}:\n"
        "            so_far += c\n"
        '            if c in ".!?":\n'
        "                {3[0]} so_far"
    ),
    "split_characters": (
        "ends, at, split = set(), 0, 0\n"
        "    for token in tokenizers[name].tokens(text):\n"
        "        at += len(token)\n"
        "        ends.add(at)\n"
        "    at = 0\n"
        "    for c in text:\n"
        "        after = at + len(c.encode())\n"
        "        if any(at < end < after for end in ends):\n"
        "            split += 1\n"
        "        at = after\n"
        "    return split"
    ),
    "chat_ids": (
        "ids = qwen.encode({3[0]}, {2[0]}) + qwen.encode(system)\n"
        "    ids += qwen.encode({3[1]}, {2[0]}) + qwen.encode(user)\n"
        "    return ids + qwen.encode({3[2]}, {2[0]})"
    ),
    "bits_per_byte": "return {3[0]} / n_bytes",
    "gpus_needed": "return {3[0]}(6 * n_parameters * n_tokens / (flops * days * 86_400))",
    "is_held": (
        "held, loudest = [], {2[0]}\n"
        "    for call in calls:\n"
        "        loudest = max(loudest, call)\n"
        "        held.append({3[0]})\n"
        "    return held"
    ),
    "into_four_bits": ("{2[0]}\n    if scale == 0:\n        return {3[1]}\n    return [{3[0]} for value in values]"),
    "turns_kept": (
        "room -= lengths[0]\n"
        "    {3[2]}\n"
        "    {2[0]}:\n"
        "        {3[0]}:\n"
        "            break\n"
        "        room -= lengths[turn]\n"
        "        {3[1]}\n"
        "    return kept"
    ),
}
"""A reader's answer to each exercise: {2[0]} is the first piece of code in its second hint, as it stands there."""


def cells_of(chapter: Path) -> list[dict[str, Any]]:
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells]


def exercises() -> list[Any]:
    found = []
    for chapter in sorted(BOOK.glob("*.ipynb")):
        for at, cell in enumerate(cells_of(chapter)):
            if "exercise" in cell["metadata"].get("tags", ()):
                name = re.findall(r"def (\w+)", cell["source"])[0]
                found.append(pytest.param(chapter, at, name, id=f"{chapter.stem}-{name}"))
    return found


def names_set(code: str) -> set[str]:
    """The names that a cell leaves behind."""
    nodes = list(ast.walk(ast.parse(code)))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    found |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    aliases = [alias for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names]
    return found | {alias.asname or alias.name for alias in aliases}


def names_used(code: str) -> set[str]:
    """The names that a cell may take from the cells before it: not those of its functions' own."""
    nodes = list(ast.walk(ast.parse(code)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    inner = {node.arg for node in nodes if isinstance(node, ast.arg)}
    for function in functions:
        inner |= {name for statement in function.body for name in names_set(ast.unparse(statement))}
    return {node.id for node in nodes if isinstance(node, ast.Name)} - inner


def needed(cells: list[dict[str, Any]], codes: list[str]) -> list[str]:
    """The code cells above that these cells build on."""
    wanted, kept = set[str]().union(*map(names_used, codes)), list[str]()
    for cell in reversed(cells):
        if cell["cell_type"] == "code" and "solution" not in cell["metadata"].get("tags", ()):
            defined = names_set(cell["source"]) & wanted
            if defined:
                wanted = wanted - defined | names_used(cell["source"])
                kept.insert(0, cell["source"])
    return kept


def hint(prose: str, number: int) -> list[str]:
    """The pieces of code in a hint."""
    text = prose.split(f"<summary>Hint {number}</summary>")[1].split("</details>", maxsplit=1)[0]
    return re.findall("`([^`]+)`", text)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # of matplotlib, for tensors
@pytest.mark.parametrize(("chapter", "at", "name"), exercises())
def test_the_stub_fails_the_solution_passes_and_so_does_what_the_hints_say(chapter, at, name, monkeypatch):
    cells = cells_of(chapter)
    stub, prose = cells[at]["source"], cells[at - 1]["source"]
    after = [cell for cell in cells[at + 1 :] if cell["cell_type"] == "code"]
    check, solution = after[0]["source"], after[1]["source"]
    hinted = AS_HINTED[name].format(*[()] + [hint(prose, number) for number in (1, 2, 3)])
    scope: dict[str, Any] = {}
    monkeypatch.chdir(BOOK)
    for code in needed(cells[:at], [check, solution, hinted_cell(stub, hinted)]):
        exec(code, scope)
    outcomes = []
    for code in (stub, hinted_cell(stub, hinted)):
        exec(code, scope)
        outcomes.append(last_value(check, scope))
    outcomes.append(last_value(solution, scope))
    assert [outcome.passed for outcome in outcomes] == [False, True, True], outcomes


def hinted_cell(stub: str, body: str) -> str:
    return f"{stub}\n    {body}\n"


def last_value(cell: str, scope: dict[str, Any]) -> Any:
    """Run a cell as a notebook does: what its last expression gives."""
    *before, last = ast.parse(cell).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(before, []), "cell", "exec"), scope)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), scope)


def test_every_exercise_is_answered_here():
    assert {parameters.values[2] for parameters in exercises()} == AS_HINTED.keys()
