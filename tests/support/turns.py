"""Threads that take turns in a drawn order: every operation on a place is one turn, and any interleaving can be had.

    turns = Turns(draw)            draw(names) -> the name of who is next, or `"!" + name` to let them die there
    turns.add("a", body)           body runs in a thread, and waits for its turn wherever `turns.wait()` is called
    turns.run()                    until every body is over
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


class Died(BaseException):
    """The process of this thread was killed here."""


class Turns:
    """See above. Exactly one thread runs at any moment."""

    def __init__(self, draw: Callable[[Sequence[str]], str]) -> None:
        self._draw = draw
        self._waiting: dict[str, threading.Semaphore] = {}
        self._doomed: set[str] = set()
        self._ready = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def add(self, name: str, body: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=self._body, args=(body,), name=name, daemon=True))

    def wait(self) -> None:
        """Give the turn away until it is drawn again; outside of the threads, nothing."""
        own = threading.current_thread()
        if own not in self._threads:
            return
        gate = self._waiting[own.name] = threading.Semaphore(0)
        self._ready.release()
        gate.acquire()
        if own.name in self._doomed:
            raise Died

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
            self._ready.acquire()
        while self._waiting:
            drawn = self._draw(sorted(self._waiting))
            name = drawn.removeprefix("!")
            if drawn != name:
                self._doomed.add(name)
            self._waiting.pop(name).release()
            self._ready.acquire()
        for thread in self._threads:
            thread.join()

    def _body(self, body: Callable[[], None]) -> None:
        try:
            self.wait()
            body()
        except Died:
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            self._ready.release()


class InTurns:
    """A place whose every operation waits for its turn."""

    def __init__(self, inner: object, turns: Turns) -> None:
        self._inner, self._turns = inner, turns

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def operation(*told: object) -> object:
            self._turns.wait()
            return found(*told)

        return operation
