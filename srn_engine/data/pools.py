"""Ray pools of many instances: as many as a budget of memory holds, the next ones read while the training goes on."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import torch

from srn_engine.data.dataset import Dataset
from srn_engine.data.rays import RayPool
from srn_engine.errors import UserError
from srn_engine.memory import is_shortage

BUDGET = 2 << 30  # bytes
AHEAD = 8  # pools read before they are wanted, at most; they come on top of the budget


class Pools:
    """The ray pools of one split, one for each of the `instances` that have views in it, in the dataset's order.

    At most about `budget` bytes stay in memory: the pool that was used longest ago goes first. One thread reads ahead
    what `read_ahead` names. For a single consumer; close it, or use it in a `with`.
    """

    def __init__(
        self, dataset: Dataset, split: str, device: torch.device, budget: int = BUDGET, everywhere: bool = False
    ) -> None:
        self.dataset, self.split, self.device = dataset, split, device
        self.instances = dataset.having(split)
        self.budget, self.everywhere = budget, everywhere
        self._held: OrderedDict[int, RayPool] = OrderedDict()
        self._coming: dict[int, Future[RayPool]] = {}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reading views")

    def __len__(self) -> int:
        return len(self.instances)

    def __enter__(self) -> "Pools":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def nbytes(self) -> int:
        """What the pools take up that are held now."""
        return sum(pool.nbytes for pool in self._held.values())

    def pool(self, index: int) -> RayPool:
        """The pool of the instance at that place; UserError where its views are missing or broken."""
        self._take_in()
        if index not in self._held:
            self._ask_for(index)
            self._hold(index, self._coming.pop(index).result())
        self._held.move_to_end(index)
        return self._held[index]

    def read_ahead(self, indices: Sequence[int]) -> None:
        """Says which pools will be wanted next, soonest first; what was named before and not begun is forgotten.

        Only the first AHEAD of them are read before they are wanted.
        """
        self._take_in()
        indices = indices[:AHEAD]
        for index in list(self._coming):
            if index not in indices and self._coming[index].cancel():
                del self._coming[index]
        for index in indices:
            if index in self._held:
                self._held.move_to_end(index)
            else:
                self._ask_for(index)

    def close(self) -> None:
        """Ends the reading; what is being read is waited for."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._held.clear()
        self._coming.clear()

    def _ask_for(self, index: int) -> None:
        if index not in self._coming:
            self._coming[index] = self._reader.submit(self._read, index)

    def _take_in(self) -> None:
        """Holds what the reader has finished. An error waits until the pool that it struck is wanted."""
        for index, future in list(self._coming.items()):
            if future.done() and future.exception() is None:
                self._hold(index, self._coming.pop(index).result())

    def _hold(self, index: int, pool: RayPool) -> None:
        self._held[index] = pool
        total = self.nbytes
        while total > self.budget and len(self._held) > 1:
            total -= self._held.popitem(last=False)[1].nbytes

    def _read(self, index: int) -> RayPool:
        instance = self.instances[index].id
        try:
            return RayPool(self.dataset.views(self.split, instance), self.device, self.everywhere)
        except (OSError, RuntimeError) as error:  # a disk that failed
            if is_shortage(error):
                raise
            raise UserError(f"The views of {instance} in {self.dataset.root} cannot be read ({error}).") from error
