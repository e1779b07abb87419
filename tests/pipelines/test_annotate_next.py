"""From predictions back to a study: which cases to annotate next, and a corrected file as 3D Slicer leaves it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipelines import predict, study
from pipelines.predictions import write_next
from synth.domain.anatomy import HAND
from synth.domain.schema import unpack_silhouettes
from synth.domain.shards import read_samples
from synth.domain.volume import write_image
from tests.tuning.toy import toy_samples, write_network


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    """Three toy hands as images, predicted by a network that has learnt nothing."""
    (tmp_path / "images").mkdir()
    for k, mask in enumerate(unpack_silhouettes(toy_samples(3, 1).packed, HAND.size)):
        write_image((np.pad(mask, 10) * np.uint8(200)), tmp_path / "images" / f"c{k}.png")
    model = write_network(str(tmp_path / "model"))
    predict.main(["--model", model, "--side", "left", "--out", str(tmp_path / "out"), str(tmp_path / "images")])
    return tmp_path


def test_a_corrected_point_comes_back_as_it_was_placed(predicted):
    marks = []
    for k in range(3):
        path = predicted / "out" / f"c{k}.mrk.json"
        payload = json.loads(path.read_text())
        point = payload["markups"][0]["controlPoints"][2]
        point |= {"position": [40.0 + k, 21.25, 0.0], "positionStatus": "defined"}
        path.write_text(json.dumps(payload))
        marks.append(str(path))
    images = str(predicted / "images")
    study.main(["hand", "--images", images, "--landmarks", *marks, "--side", "left", "--out", str(predicted / "study")])
    samples = read_samples(str(predicted / "study"), HAND)
    ones = np.column_stack([samples.landmarks[:, 2, :2], np.ones(3)])
    source = np.einsum("ndc,nc->nd", samples.to_source, ones)
    np.testing.assert_allclose(source, [[40.5 + k, 21.75] for k in range(3)], atol=1e-3)  # 3D Slicer: centres at 0


def test_the_least_certain_case_comes_first(tmp_path):
    def result(case: str, untrusted: int, uncertainty: float | None) -> dict[str, object]:
        status = ["untrusted"] * untrusted + ["ok"] * (5 - untrusted)
        return {"case": case, "uncertainty_px": uncertainty, "landmarks": [{"status": item} for item in status]}

    results = [result("a", 0, 1.0), result("b", 0, 3.0), result("c", 2, 0.5), result("=d", 0, None)]
    write_next(tmp_path / "next.csv", results)
    rows = list(csv.reader((tmp_path / "next.csv").open()))
    assert rows[0] == ["rank", "case", "untrusted", "uncertainty_px"]
    assert [row[1] for row in rows[1:]] == ["c", "b", "a", "'=d"] and rows[4] == ["4", "'=d", "0", ""]


def test_every_predicted_case_is_ranked_once(predicted):
    rows = list(csv.DictReader((predicted / "out" / "annotate_next.csv").open()))
    assert sorted(row["case"] for row in rows) == ["c0", "c1", "c2"] and [row["rank"] for row in rows] == [
        "1",
        "2",
        "3",
    ]
