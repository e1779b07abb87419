"""All of an array arrives in shared memory, however little a write takes at once."""

import io

import numpy as np
import pytest

from synth.domain.shared import write_whole


class Slow(io.RawIOBase):
    """Takes seven bytes at a time."""

    def __init__(self):
        self.taken = b""

    def write(self, data):
        self.taken += bytes(data[:7])
        return min(7, len(data))


@pytest.mark.parametrize(
    "values", [np.arange(30, dtype="<f4").reshape(2, 3, 5), np.eye(3, dtype=bool), np.zeros((0, 4))]
)
def test_a_stream_that_takes_little_at_a_time_has_it_all_in_the_end(values):
    stream = Slow()
    write_whole(stream, values)
    np.testing.assert_array_equal(np.frombuffer(stream.taken, values.dtype), values.ravel())
