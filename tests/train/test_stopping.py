"""A first Ctrl-C or SIGTERM is remembered for the loop, a second one acts; afterwards all is as it was."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from reslearn.train.stopping import Interrupted, stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_acts_at_once(number):
    acted, before = [], signal.signal(number, lambda *_: acted.append(number))
    try:
        handler = signal.getsignal(number)
        with stop_signals() as stop:
            assert stop() is None
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert stop() == number and acted == []
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert acted == [number]
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


def test_handlers_come_back_though_no_signal_came():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_signals():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_takes_no_signal():
    before, during = signal.getsignal(signal.SIGTERM), []

    def work():
        with stop_signals() as stop:
            during.append((stop(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [(None, before)]


def test_who_was_stopped_is_told_how_to_go_on():
    assert str(Interrupted("runs/a", signal.SIGTERM)).endswith("go on with: reslearn resume runs/a")
