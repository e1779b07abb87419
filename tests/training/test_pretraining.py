"""A pre-training run: its held-out share, its claim on an output, its calibration."""

import json
from dataclasses import replace

import numpy as np
import pytest

from synth.domain.anatomy import HAND
from tests.training.toy import toy_dataset, toy_job
from training.checkpoint import load_model, read_card
from training.job import claim_output
from training.metrics import sigma_scale
from training.models import ModelRecipe
from training.outcome import finish, mean_landmark_depth
from training.pretraining import train
from training.recipe import TrainRecipe
from training.split import num_held_out, read_split
from training.views import hand_views


@pytest.fixture
def job(tmp_path):
    train = TrainRecipe(epochs=2, batch=8)
    return toy_job(tmp_path, 40, model=ModelRecipe(width=8), train=train)


def test_the_last_twentieth_is_held_out_and_at_most_a_thousand(job):
    assert [num_held_out(rows) for rows in (2, 40, 8000, 600_000)] == [1, 2, 400, 1000]
    split = read_split(job)
    assert split.held_out.sample_id.tolist() == [38, 39] and len(split.train) == 38


def test_an_output_belongs_to_one_run(job, tmp_path):
    claim_output(job)
    claim_output(job)
    for other in (replace(job, seed=2), replace(job, train=replace(job.train, rate=1e-4))):
        with pytest.raises(ValueError, match=r"holds another pre-training \(its (seed|train) differ\)"):
            claim_output(other)
    toy_dataset(str(tmp_path / "data"), 48, 2)
    with pytest.raises(ValueError, match="its data differ"):
        claim_output(job)


def test_an_output_with_anything_else_is_refused_and_left_alone(job, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        claim_output(job)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_data_of_another_anatomy_or_none_is_refused_and_nothing_written(job, tmp_path):
    with pytest.raises(ValueError, match="holds hand data; recipe is for body"):
        claim_output(replace(job, anatomy="body"))
    with pytest.raises(ValueError, match="holds no dataset"):
        claim_output(replace(job, data_uri=str(tmp_path / "nothing")))
    assert not (tmp_path / "out").exists()


def test_a_run_ends_with_a_model_that_knows_its_errors(job):
    split = read_split(job)
    entries = []
    model = train(job, split, lambda network: network, on_entry=entries.append)
    card = finish(job, model, split.held_out)
    assert [entry["epoch"] for entry in entries] == [0, 1]
    assert card.metrics["held_out_px"] == pytest.approx(entries[-1]["held_out_px"], rel=1e-4)
    assert card == read_card(job.model_uri) and len(card.sigma_scale) == len(card.sigma_px) == 5
    assert card.mean_depth is not None and not load_model(job.model_uri).model.training
    json.dumps(card.metrics, allow_nan=False)


def test_calibrated_sigma_fits_the_errors():
    generator = np.random.default_rng([1])
    sigma = generator.uniform(1, 2, (4000, 2))
    residual = generator.normal(size=(4000, 2, 2)) * 3 * sigma[..., None]
    errors = np.linalg.norm(residual, axis=-1)
    errors[5, 0] = np.nan
    assert np.allclose(sigma_scale(errors, sigma.astype(np.float32)), 3, rtol=0.05)
    errors[:, 1] = np.nan
    assert sigma_scale(errors, sigma.astype(np.float32))[1] is None


def test_mean_depth_is_in_units_of_the_normalised_map(job):
    found = np.array(mean_landmark_depth(job.data_uri, HAND, 10))
    assert found.shape == (5,) and (np.abs(found) < 3).all()


def test_depth_is_read_where_the_network_is_shown_it(job):
    assert read_split(job).train.depth is None
    shown = replace(
        job,
        model=replace(job.model, inputs=("silhouette", "depth", "observed")),
        train=replace(job.train, augment=0.5, views=replace(hand_views(), blanket=0.5)),
    )
    split = read_split(shown)
    assert split.train.depth is not None and split.train.depth.shape == (38, 96, 96)
    claim_output(shown)
    card = finish(shown, train(shown, split, lambda network: network), split.held_out)
    assert load_model(shown.model_uri).model.inputs == card.model.inputs == ("silhouette", "depth", "observed")
