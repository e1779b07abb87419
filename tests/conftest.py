"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray that the verbs of a module's tests share, with room for two workers and their supervision."""
    from tests.training.rays import quiet_ray  # importing Ray takes seconds, and most tests need none

    with quiet_ray(3):
        yield
