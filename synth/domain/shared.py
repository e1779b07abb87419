"""Arrays made slice by slice: in memory of one's own, or in memory that another process can map. Numpy alone."""

import os
from collections.abc import Callable, Iterable
from io import RawIOBase
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

Slices = Iterable[NDArray[np.generic]]
Stacked = Callable[[tuple[int, ...], DTypeLike, Slices], NDArray[np.generic]]


def stacked(shape: tuple[int, ...], dtype: DTypeLike, slices: Slices) -> NDArray[np.generic]:
    """(Z, Y, X) array of slices (Y, X), which may lie in one buffer: each is copied before the next is asked for."""
    made = np.empty(shape, dtype)
    for place, part in zip(made, slices, strict=True):
        place[:] = part
    return made


class Shared:
    """Memory behind a descriptor, for one array; the descriptor is closed at the end of a `with`."""

    def __init__(self) -> None:
        self.descriptor: int | None = None
        self._held: NDArray[np.generic] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)

    def stacked(self, shape: tuple[int, ...], dtype: DTypeLike, slices: Slices) -> NDArray[np.generic]:
        """The same array as `stacked` makes, in this memory. Raises MemoryError where it has no room."""
        if self.descriptor is not None:
            os.close(self.descriptor)  # what was held before lives as long as it is used
        self.descriptor = os.memfd_create("scan")
        with open(self.descriptor, "r+b", buffering=0, closefd=False) as stream:
            stream.truncate(int(np.prod(shape)) * np.dtype(dtype).itemsize)
            try:
                self._held = np.memmap(stream, dtype, "r", shape=shape)
            except OSError as error:
                raise MemoryError from error
            stream.seek(0)
            for part in slices:  # written, as each page of a mapping that is filled is a fault
                write_whole(stream, part)
        return self._held

    def hold(self, values: NDArray[np.generic]) -> None:
        """None; the values are in this memory, copied if they were not."""
        if values is not self._held:
            self.stacked(values.shape, values.dtype, [np.ascontiguousarray(values)])


def write_whole(stream: RawIOBase, values: NDArray[np.generic]) -> None:
    """None; a stream without a buffer has all bytes of an array, of which Linux takes 2 GiB at a time."""
    left = values.reshape(-1).view(np.uint8).data
    while left:
        left = left[stream.write(left) or 0 :]
