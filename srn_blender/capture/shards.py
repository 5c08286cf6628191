"""Several processes, on one machine or many, share the work of one capture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..errors import UserError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 1 on, of `count`."""

    number: int = 1
    count: int = 1

    def part(self, items: Sequence[Item]) -> Sequence[Item]:
        """This shard's items: a run of neighbours, so that few instances are set up by more than one shard."""
        first, last = (len(items) * n // self.count for n in (self.number - 1, self.number))
        return items[first:last]


WHOLE = Shard()


def parse_shard(text: str) -> Shard:
    """ "2/4" is the second of four; an empty text the whole. Raises UserError for anything else."""
    if not text.strip():
        return WHOLE
    found = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or not 1 <= shard.number <= shard.count:
        raise UserError(f"Write a shard as its number and how many there are, such as 1/4, not '{text}'.")
    return shard
