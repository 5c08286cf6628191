"""Work beside Blender: what needs no Blender runs in a thread, while a window stays free."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import TypeVar

Result = TypeVar("Result")
PATIENCE = 0.02  # seconds that a step may wait


def in_background(work: Callable[[], Result]) -> Generator[None, None, Result]:
    """Gives what `work` gives, which may not touch Blender; a step for each bit of waiting. Closing it waits too."""
    with ThreadPoolExecutor(1, "srn-capture") as threads:
        future = threads.submit(work)
        while not wait([future], PATIENCE).done:
            yield
        return future.result()


def telling(what: str, work: Generator[None, None, Result]) -> Generator[str, None, Result]:
    """The same steps, each saying what goes on."""
    with closing(work):
        while True:
            try:
                next(work)
            except StopIteration as end:
                result: Result = end.value
                return result
            yield what
