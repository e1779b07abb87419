"""A Ray of a test module's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray


@contextmanager
def quiet_ray(num_cpus: int) -> Iterator[None]:
    """Within, Ray runs in this process, without dashboard, usage statistics or logs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=num_cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
