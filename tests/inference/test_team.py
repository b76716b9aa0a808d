"""Threads that help with a piece of work: all of it is done, whoever comes, and nobody waits for one who does not."""

from __future__ import annotations

import itertools
import threading

import pytest

from llm101.inference.compiled.team import Team


class Pieces:
    """Work in pieces, each done once."""

    def __init__(self, n: int) -> None:
        self._numbers, self._n, self.done = itertools.count(), n, []
        self.stopped = False

    def work(self) -> None:
        while (piece := next(self._numbers)) < self._n and not self.stopped:
            self.done.append(piece)

    def stop(self) -> None:
        self.stopped = True


@pytest.mark.parametrize("n_threads", [1, 2, 4])
def test_all_pieces_are_done_once(n_threads):
    team = Team()
    for _ in range(20):
        pieces = Pieces(100)
        team.do(n_threads, pieces.work, pieces.stop)
        for helper in team._helpers:
            helper.wait()
        assert sorted(pieces.done) == [*range(100)]


def test_nobody_waits_for_a_helper_that_is_busy_with_something_else():
    team, go_on = Team(), threading.Event()
    first = Pieces(1)
    team.do(2, first.work, first.stop)
    team._helpers[0].wait()
    team._helpers[0].help(go_on.wait)
    second = Pieces(5)
    team.do(2, second.work, second.stop)
    assert second.done == [0, 1, 2, 3, 4]
    go_on.set()


def test_where_the_system_gives_no_thread_the_work_is_done_alone(monkeypatch):
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    team, pieces = Team(), Pieces(5)
    team.do(3, pieces.work, pieces.stop)
    assert pieces.done == [0, 1, 2, 3, 4]


def test_after_ctrl_c_nobody_works_on():
    team, begun = Team(), threading.Event()
    stopped = threading.Event()

    def work() -> None:
        if threading.current_thread() is threading.main_thread():
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        stopped.wait(10)

    with pytest.raises(KeyboardInterrupt):
        team.do(2, work, stopped.set)
    assert stopped.is_set()
    assert team._helpers[0]._doing is not None
    assert team._helpers[0]._doing.done()
