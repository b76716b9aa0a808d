"""`llm101 chat` and several samples: what a notebook's lm.chat and lm.complete give, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm101 import cli
from llm101.library import load
from llm101.model import ModelConfig, Transformer
from llm101.parameters.model_folder import save_model
from llm101.tokenizer import Tokenizer

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>"


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "chatty"
    config = ModelConfig(vocab_size=262, d_model=16, n_layers=2, n_heads=2, context_length=128)
    save_model(
        folder, Transformer(config).initialise(seed=0), Tokenizer.train(["once upon a time"] * 3, vocab_size=262)
    )
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(words) == 0
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    return json.loads(run(capsys, *words, "--json"))


def test_an_answer_is_what_the_library_gives(chatty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"max_tokens": 8, "temperature": 0.7, "seed": 3, "top_p": 0.95}
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
    expected = load(chatty).chat(messages, **settings)
    words = ["chat", "Hello", "--model", str(chatty), "--system", "Be kind.", "--max-tokens", "8", "--seed", "3"]
    words += ["--temperature", "0.7"]
    assert run(capsys, *words) == expected.text + "\n"
    answer = as_json(capsys, *words)
    assert answer["completion_ids"] == expected.token_ids
    assert answer["prompt_ids"] == expected.prompt_ids
    assert answer["messages"] == messages


def test_a_single_text_is_what_a_user_says_first(chatty: Path) -> None:
    lm = load(chatty)
    prompt = lm.chat_prompt("Hello")
    assert prompt.text == "<user>Hello\n<assistant>"
    assert lm.chat("Hello", max_tokens=3, seed=0).prompt_ids == prompt.token_ids
    streamed = [token.id for token in lm.stream_chat("Hello", max_tokens=3, seed=0)]
    assert streamed == lm.chat("Hello", max_tokens=3, seed=0).token_ids


def test_several_samples_are_a_list(chatty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["complete", "once", "--model", str(chatty), "--n", "3", "--max-tokens", "5", "--seed", "7"]
    completions = as_json(capsys, *words)["completions"]
    assert [one["completion_ids"] for one in completions] == [
        load(chatty).complete("once", max_tokens=5, temperature=0.8, top_p=0.95, seed=seed).token_ids
        for seed in (7, 8, 9)
    ]
    shown = run(capsys, *words)
    assert [line[:4] for line in shown.splitlines() if line.startswith("[")] == ["[1] ", "[2] ", "[3] "]
    answers = as_json(capsys, "chat", "Hello", *words[2:])
    assert len(answers["completions"]) == 3
    assert answers["messages"] == [{"role": "user", "content": "Hello"}]


def test_penalties_reach_the_model(chatty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["complete", "once", "--model", str(chatty), "--temperature", "0", "--max-tokens", "12"]
    plain = as_json(capsys, *words)["completion_ids"]
    for penalty in ("--repetition-penalty", "--frequency-penalty", "--presence-penalty"):
        assert len(set(as_json(capsys, *words, penalty, "9")["completion_ids"])) > len(set(plain))


def test_a_model_that_does_not_answer_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["chat", "Hello", "--model", "storyteller"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("llm101: storyteller has no chat template: it continues texts, which `complete` does")
    assert said.count("\n") == 1
