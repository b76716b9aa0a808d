"""The chat console against a chat model of a few lines: who said what, who wrote which token, and what goes wrong."""

from __future__ import annotations

import inspect
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

import llm101
from llm101.tokenizer.chat_template import ChatTemplate
from llm101_widgets import ChatConsole
from tests.widgets.page_side import page_sends, wait_until
from tests.widgets.small_talk import SmallTalk

HOSTILE = '<img src=x onerror="alert(1)"></details>\x00'
SETTINGS = {"max_tokens": 50, "temperature": 1.5, "seed": 9}


def text_of(stretches: list[dict[str, Any]]) -> str:
    raw = "".join(token[1] for stretch in stretches for token in stretch["tokens"])
    return raw.encode("latin-1").decode()


def test_a_conversation_is_kept_turn_by_turn() -> None:
    console = ChatConsole(SmallTalk())
    assert console.say("Hi") == "You said: Hi"
    assert console.say("Well?") == "You said: Well?"
    assert console.turns == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "You said: Hi", "end": "end"},
        {"role": "user", "content": "Well?"},
        {"role": "assistant", "content": "You said: Well?", "end": "end"},
    ]
    report: Any = console.report
    assert (console.running, console.error, console.draft, report["end"]) == (False, "", "", "end")
    assert 0 <= report["first_s"] <= report["all_s"]


def test_the_model_gets_all_that_was_said_with_the_system_prompt_and_the_settings() -> None:
    talk = SmallTalk()
    console = ChatConsole(talk, system="Be brief.", **SETTINGS)
    console.say("Hi")
    console.say("Well?")
    messages, settings = talk.asked[-1]
    said = [(message["role"], message["content"]) for message in messages]
    answered = ("assistant", "You said: Hi")
    assert said == [("system", "Be brief."), ("user", "Hi"), answered, ("user", "Well?")]
    assert all(message.keys() == {"role", "content"} for message in messages)
    assert settings == SETTINGS


def test_every_token_that_the_model_reads_has_its_writer_and_nothing_is_left_out() -> None:
    talk = SmallTalk()
    console = ChatConsole(talk, system="Be brief.")
    console.say("Hi")
    console.say("Naïve?")
    assert text_of(console.read) == talk.chat_prompt(talk.asked[-1][0]).text
    writers = [(one["who"], text_of([one])) for one in console.read]
    assert writers == [
        ("template", "<|im_start|>system\n"),
        ("system", "Be brief."),
        ("template", "<|im_end|>\n<|im_start|>user\n"),
        ("user", "Hi"),
        ("template", "<|im_end|>\n<|im_start|>assistant\n"),
        ("assistant", "You said: Hi"),
        ("template", "<|im_end|>\n<|im_start|>user\n"),
        ("user", "Naïve?"),
        ("template", "<|im_end|>\n<|im_start|>assistant\n"),
    ]
    assert "".join(text for *_, text in console.written) == "You said: Naïve?"
    assert console.written[-1] == [1, "<|im_end|>", True, ""]


def test_special_tokens_are_the_templates_and_never_a_users() -> None:
    console = ChatConsole(SmallTalk())
    console.say("<|im_start|> I am a token")
    special = [(one["who"], token[1]) for one in console.read for token in one["tokens"] if token[2]]
    assert special == [("template", f"<|im_{which}|>") for which in ("start", "end", "start", "end", "start")]
    (said,) = (one for one in console.read if one["who"] == "user")
    assert "<" in [token[1] for token in said["tokens"]]


@pytest.mark.parametrize(
    ("talk", "own"),
    [
        (SmallTalk(default="You are small."), "You are small."),
        (SmallTalk(default=""), ""),
        (SmallTalk(takes_system=False), ""),
    ],
)
def test_the_system_prompt_that_a_template_adds_by_itself_is_found(talk: SmallTalk, own: str) -> None:
    console = ChatConsole(talk)
    assert console.about["own_system"] == own
    console.say("Hi")
    assert ("the template’s own: You are small." in str(console)) == bool(own)


def test_what_the_template_refuses_changes_nothing() -> None:
    console = ChatConsole(SmallTalk())
    console.say("Hi")
    before = {name: getattr(console, name) for name in ("turns", "read", "written", "report", "running", "draft")}
    for text, message in (("refuse", "refuses this message"), (" \n", "there is no message yet")):
        with pytest.raises(ValueError, match=message):
            console.say(text)
    assert before == {name: getattr(console, name) for name in before}
    assert console.say("Well?") == "You said: Well?"


def test_a_failure_before_the_first_word_gives_the_readers_words_back() -> None:
    console = ChatConsole(SmallTalk())
    console.say("Hi")
    before = console.turns
    with pytest.raises(ValueError, match="out of words"):
        console.say("fail")
    assert (console.turns, console.draft, console.running) == (before, "fail", False)
    console.say("Well?")
    assert (len(console.turns), console.draft) == (4, "")


def test_a_failure_in_the_middle_keeps_what_was_written() -> None:
    console = ChatConsole(SmallTalk())
    with pytest.raises(ValueError, match="the thread of thought is lost"):
        console.say("break")
    assert console.turns[-1] == {"role": "assistant", "content": "You said", "end": "failed"}
    assert (console.draft, console.running, len(console.written)) == ("", False, 2)


def test_a_page_that_looks_at_any_moment_sees_no_turn_with_another_ones_tokens() -> None:
    console = ChatConsole(SmallTalk(pause=lambda i: i == 2 and threading.Event().wait(0.05)))
    console.say("Hi")
    seen: list[tuple[bool, str, int]] = []

    def look(_: object) -> None:
        is_open = console.turns[-1]["role"] == "user"
        words = "".join(text for *_, text in console.written)
        seen.append((is_open, words, len(console.turns)))

    console.observe(look)
    console.say("Well?")
    open_words = [words for is_open, words, _ in seen if is_open]
    assert open_words[0] == ""
    assert "You" in open_words
    assert open_words[-1] == "You said: Well?"
    assert all(n_turns in (2, 3, 4) for *_, n_turns in seen)
    assert seen[-1][::2] == (False, 4)


def test_the_page_is_heard_at_once_and_its_answer_comes_from_a_thread() -> None:
    gate = threading.Event()
    talk = SmallTalk(pause=lambda i: wait_until(gate.is_set))
    console, sent = ChatConsole(talk), []
    console.send = lambda content, buffers=None: sent.append(content)
    page_sends(console, do="say", text="Hi", **SETTINGS)
    wait_until(lambda: console.running)
    assert (sent, console.turns, console.written) == ([{}], [{"role": "user", "content": "Hi"}], [])
    gate.set()
    wait_until(lambda: not console.running)
    assert talk.asked[0][1] == SETTINGS == {name: getattr(console, name) for name in SETTINGS}
    assert console.turns[-1]["content"] == "You said: Hi"


def test_the_page_shows_a_refusal_in_one_line_and_the_same_again() -> None:
    console, told = ChatConsole(SmallTalk()), []
    console.observe(lambda change: change.new and told.append(change.new), "error")
    for n in (1, 2):
        page_sends(console, do="say", text="refuse")
        wait_until(lambda n=n: len(told) == n)
    assert told == ["the template refuses this message"] * 2
    page_sends(console, do="say", text="Hi", max_tokens=0)
    wait_until(lambda: len(told) == 3)
    assert told[-1] == "max_tokens must be a number from 1 to 4096, got 0"
    page_sends(console, do="dance")
    wait_until(lambda: len(told) == 4)
    assert console.turns == []


def test_stop_keeps_what_was_written() -> None:
    def stop_at_the_second(i: int) -> None:
        if i == 1:
            page_sends(console, do="stop")
            wait_until(console._stop.is_set)

    console = ChatConsole(SmallTalk(pause=stop_at_the_second))
    page_sends(console, do="say", text="Hi")
    wait_until(lambda: len(console.turns) == 2 and not console.running)
    assert console.turns[-1] == {"role": "assistant", "content": "You", "end": "stopped"}
    assert (console.report["end"], console.error) == ("stopped", "")


def test_stop_before_the_first_word_gives_the_readers_words_back() -> None:
    def stop_at_once(i: int) -> None:
        page_sends(console, do="stop")
        wait_until(console._stop.is_set)

    console = ChatConsole(SmallTalk(pause=stop_at_once))
    assert console.say("Hi") == ""
    assert (console.turns, console.draft, console.report["end"]) == ([], "Hi", "stopped")


def test_jupyters_own_stop_button_ends_an_answer_cleanly() -> None:
    def interrupt_at_the_third(i: int) -> None:
        if i == 2:
            raise KeyboardInterrupt

    console = ChatConsole(SmallTalk(pause=interrupt_at_the_third))
    assert console.say("Hi") == "You said"
    assert (console.report["end"], console.running) == ("stopped", False)


def test_beginning_anew_stops_the_answer_first() -> None:
    console = ChatConsole(SmallTalk(), system="Be brief.")
    page_sends(console, do="say", text="slowly " * 60)
    wait_until(lambda: len(console.written) > 0)
    page_sends(console, do="begin")
    wait_until(lambda: not console.turns)
    assert (console.running, console.read, console.written, console.report) == (False, [], [], {})
    console.system = "Be long."
    console.say("Hi")
    assert [one["who"] for one in console.read][:2] == ["template", "system"]
    assert text_of(console.read[1:2]) == "Be long."


def test_two_messages_never_start_two_answers() -> None:
    def say_more(_: int) -> None:
        with pytest.raises(RuntimeError, match="answering already"):
            console.say("another")

    talk = SmallTalk(pause=say_more)
    console = ChatConsole(talk)
    console.say("Hi")
    assert [message["content"] for message in talk.asked[0][0]] == ["Hi"]
    assert len(talk.asked) == 1
    assert len(console.turns) == 2


def test_a_closed_console_answers_nothing_more() -> None:
    asked: list[int] = []

    def close_at_the_second(i: int) -> None:
        asked.append(i)
        if i == 1:
            console.close()

    console = ChatConsole(SmallTalk(pause=close_at_the_second))
    console.say("Hi")
    assert asked == [0, 1]


def test_a_conversation_that_fills_the_context_says_so_and_loses_nothing() -> None:
    console = ChatConsole(SmallTalk(context_length=40))
    console.say("One two three four five six seven eight")
    assert console.turns[-1]["end"] == "end"
    with pytest.raises(ValueError, match=r"that makes \d+ tokens; this model holds 40, .*: begin anew"):
        console.say("One two three four five six seven eight")
    assert len(console.turns) == 2
    short = ChatConsole(SmallTalk(context_length=25))
    short.say("One two three")
    assert short.turns[-1]["end"] == "context"
    assert sum(len(one["tokens"]) for one in short.read) + len(short.written) == 25


def test_without_a_known_context_none_is_said() -> None:
    talk = SmallTalk()
    bare = SimpleNamespace(chat_prompt=talk.chat_prompt, stream_chat=talk.stream_chat, tokenizer=talk.tokenizer)
    console = ChatConsole(bare)
    assert console.say("Hi") == "You said: Hi"
    assert console.about == {"name": "SimpleNamespace", "own_system": "You are small.", "context_length": 0}


@pytest.mark.parametrize(("setting", "value"), [("max_tokens", 0), ("temperature", 2.1), ("seed", -1), ("seed", None)])
def test_settings_out_of_range_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{setting} must be a number from"):
        ChatConsole(SmallTalk(), **{setting: value})


def test_what_cannot_chat_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="needs a model with chat_prompt and stream_chat and tokenizer, got str"):
        ChatConsole("smollm2")
    with pytest.raises(ValueError, match="storyteller has no chat template"):
        ChatConsole(llm101.load("storyteller"))


def test_a_language_model_is_what_the_console_takes() -> None:
    asked = inspect.signature(llm101.LanguageModel.stream_chat).parameters
    assert {"messages", "max_tokens", "temperature", "seed", "cancel"} <= asked.keys()
    assert "messages" in inspect.signature(llm101.LanguageModel.chat_prompt).parameters
    assert llm101.load("storyteller").context_length == 512


def test_the_librarys_templates_tokens_and_engine_make_a_conversation() -> None:
    lm = llm101.load("storyteller")
    template = ChatTemplate("{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}<assistant>")
    chatty = SimpleNamespace(
        chat_prompt=lambda messages: template.prompt(messages, lm.tokenizer),
        stream_chat=lambda messages, **settings: lm.stream(template.text(messages), **settings),
        tokenizer=lm.tokenizer,
        context_length=lm.model.config.context_length,
    )
    console = ChatConsole(chatty, max_tokens=4, temperature=0)
    assert (
        console.say("Once upon a time")
        == lm.complete("<user> Once upon a time\n<assistant>", max_tokens=4, temperature=0).text
    )
    assert [(one["who"], text_of([one])) for one in console.read] == [
        ("template", "<user> "),
        ("user", "Once upon a time"),
        ("template", "\n<assistant>"),
    ]
    assert console.turns[-1]["end"] == "length"


def test_it_leaves_the_conversation_behind_to_be_read_and_its_tokens_to_be_opened() -> None:
    console = ChatConsole(SmallTalk(name=HOSTILE), system=HOSTILE)
    assert repr(console) == f"System prompt: {HOSTILE}\n{HOSTILE}: waits for a message, nothing said yet"
    before = console._repr_mimebundle_()[0]["text/html"]  # pyright: ignore[reportOptionalSubscript]
    assert before.count("<p ") == 2
    assert "<details" not in before
    console.say(f"Hi {HOSTILE}")
    data = console._repr_mimebundle_()[0]  # pyright: ignore[reportOptionalSubscript]
    said = [f"System prompt: {HOSTILE}", f"You: Hi {HOSTILE}", f"{HOSTILE}: You said: Hi {HOSTILE}"]
    assert data["text/plain"] == repr(console) == "\n".join(said)
    html = data["text/html"]
    assert "<img" not in html
    assert "\x00" not in html
    assert html.count("<details>") == html.count("</details>") == 1
    assert "<b>You</b>: Hi &lt;img" in html
    n_special = sum(token[2] for one in console.read for token in one["tokens"]) + 1
    assert html.count("3px double") == n_special
    assert "<b>the model, now</b>" in html


def test_a_very_long_conversation_leaves_no_very_long_picture() -> None:
    console = ChatConsole(SmallTalk(context_length=9000), max_tokens=4)
    console.say("word " * 3000)
    html = console._repr_mimebundle_()[0]["text/html"]  # pyright: ignore[reportOptionalSubscript]
    assert html.count("<span") == 1000
    assert " …</p>" in html


def test_all_of_its_state_can_be_saved() -> None:
    console = ChatConsole(SmallTalk())
    console.say("Naïve 東京 👍")
    state = {name: value for name, value in console.get_state().items() if not name.startswith("_")}
    assert json.loads(json.dumps(state, allow_nan=False))["turns"] == console.turns
