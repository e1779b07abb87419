"""render.py: what --tolerance means."""

import pytest

from pipelines.cli import UsageError
from pipelines.render import tolerated


@pytest.mark.parametrize(
    ("text", "count", "samples"),
    [("0", 100, 0), ("3", 100, 3), ("0%", 100, 0), ("0.1%", 8000, 8), ("0.1%", 999, 0), ("0.29%", 100_000, 290),
     ("100%", 7, 7)],
)  # fmt: skip
def test_a_tolerance_is_a_count_or_a_share_rounded_down(text: str, count: int, samples: int) -> None:
    assert tolerated(text, count) == samples


@pytest.mark.parametrize("text", ["-1", "1.5", "-0.1%", "101%", "some", "", "%", "nan", "inf%", "0.1"])
def test_any_other_tolerance_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not allowed; give a count \(3\) or a share of the samples \(0.1%\)"):
        tolerated(text, 100)
