"""A trial never shows a network what it is tested on, and gives the same bits every time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synth.domain.anatomy import BODY, HAND
from synth.domain.patch import Crop
from tests.training.toy import toy_card
from tests.tuning.toy import toy_samples, write_network, write_toy
from training.checkpoint import load_model, read_card, save_model
from training.data import Patches
from training.loop import predict
from training.models import ModelRecipe, build_model
from training.recipe import TrainRecipe
from tuning.cases import check_network, read_cases
from tuning.folds import folds_text, make_folds
from tuning.refit import (
    ChosenSchedule,
    as_json,
    calibrated,
    choose,
    is_finished,
    read_chosen,
    refit,
    save_refitted,
)
from tuning.schedule import Schedule
from tuning.trial import Trial, TrialResult, fine_tune, from_json, read_material, run_fold, to_json

QUICK = Schedule(name="quick", epochs=2, batch=4, rate=1e-3)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a toy study of 10 subjects, two cases each, and a tiny network."""
    folder = tmp_path_factory.mktemp("trial")
    write_toy(toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=True), str(folder / "study"))
    write_network(str(folder / "network"))
    return folder


def trial_of(folder, study="study", **changes):
    trial = Trial(
        anatomy="hand",
        study=str(folder / study),
        pretrained=str(folder / "network"),
        schedule=QUICK,
        num_folds=2,
        seed=1,
    )
    return replace(trial, **changes)


def test_a_seeded_fold_gives_the_same_bits_twice(place):
    first, again = run_fold(trial_of(place), 0), run_fold(trial_of(place), 0)
    np.testing.assert_array_equal(first.points, again.points)
    assert first.losses == again.losses
    assert run_fold(trial_of(place, seed=2), 0).losses != first.losses


@pytest.mark.parametrize("start", ["pretrained", "scratch"])
def test_a_network_never_learns_from_the_subjects_it_is_tested_on(place, start):
    samples = toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=True)
    fold = make_folds(samples.subject, 2, 1)[0]
    samples.landmarks[fold.test] = 10.0
    write_toy(samples, str(place / f"other_{start}"))
    ours = run_fold(trial_of(place, start=start), 0)
    others = run_fold(trial_of(place, f"other_{start}", start=start), 0)
    np.testing.assert_array_equal(ours.points, others.points)
    assert ours.error_px != others.error_px


def test_from_scratch_forgets_the_pretrained_weights(place):
    write_network(str(place / "changed"))
    loaded = load_model(str(place / "changed"))
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.mul_(0.5)
    save_model(str(place / "changed"), loaded.model, loaded.card)
    ours = run_fold(trial_of(place, start="scratch"), 0)
    others = run_fold(trial_of(place, start="scratch", pretrained=str(place / "changed")), 0)
    np.testing.assert_array_equal(ours.points, others.points)
    tuned = run_fold(trial_of(place, pretrained=str(place / "changed")), 0)
    assert (tuned.points != run_fold(trial_of(place), 0).points).any()


@pytest.mark.parametrize("freeze", ["encoder", "features"])
def test_frozen_layers_stay_as_they_are_and_the_others_learn(place, freeze):
    cases = read_cases(str(place / "study"), HAND, depth=False)
    loaded = load_model(str(place / "network"))
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    frozen = replace(QUICK, freeze=freeze)
    fine_tune(loaded.model, Patches.from_samples(cases.samples, HAND), frozen, loaded.card.train, seed=1)
    learns = ("up.2.", "head.") if freeze == "features" else ("lateral.", "up.", "head.")
    for name, parameter in loaded.model.named_parameters():
        changed = bool((parameter.detach() != before[name]).any())
        assert changed == name.startswith(learns), name
        assert parameter.requires_grad


@pytest.mark.parametrize("recipe", [ModelRecipe(width=8), ModelRecipe(network="paper", regress_depth=True)])
def test_a_schedule_that_keeps_all_layers_learns_the_convention_of_the_labels_alone(recipe):
    patches = Patches.from_samples(toy_samples(12, 1), HAND)
    model = build_model(recipe, HAND).eval()
    train = TrainRecipe()
    before = predict(model, patches)
    labels = before.points + np.array([4.0, -3.0]) + np.random.default_rng([3, 0]).normal(0, 0.1, before.points.shape)
    moved = replace(patches, points=torch.as_tensor(labels, dtype=torch.float32))
    assert fine_tune(model, moved, replace(QUICK, freeze="all"), train, seed=1) == ()
    after = predict(model, patches)
    np.testing.assert_allclose(after.points - before.points, np.broadcast_to([4.0, -3.0], labels.shape), atol=0.15)
    np.testing.assert_array_equal(after.sigma, before.sigma)
    np.testing.assert_array_equal(after.depth, before.depth)
    fine_tune(model, patches, replace(QUICK, freeze="all", convention=False), train, seed=1)
    np.testing.assert_array_equal(predict(model, patches).points, after.points)


def test_fine_tuning_lowers_the_error_on_what_it_sees(place):
    cases = read_cases(str(place / "study"), HAND, depth=False)
    loaded = load_model(str(place / "network"))
    patches = Patches.from_samples(cases.samples, HAND)
    longer = Schedule(epochs=30, batch=10, rate=3e-3)
    losses = fine_tune(loaded.model, patches, longer, loaded.card.train, seed=1)
    assert len(losses) == 30 and losses[-1] < 0.5 * losses[0]


def test_material_read_once_gives_the_folds_of_material_read_each_time(place):
    for start in ("pretrained", "scratch"):
        trial = trial_of(place, start=start)
        material = read_material(trial)
        for number in range(2):
            once, each = run_fold(trial, number, None, material), run_fold(trial, number)
            np.testing.assert_array_equal(once.points, each.points)


def test_folds_of_a_text_are_those_it_was_made_from(place):
    subjects = read_cases(str(place / "study"), HAND, depth=False).subjects
    text = folds_text(subjects, make_folds(subjects, 2, 1))
    np.testing.assert_array_equal(run_fold(trial_of(place, folds=text), 1).points, run_fold(trial_of(place), 1).points)


def test_a_diverging_schedule_is_a_clear_error(place):
    with pytest.raises(ValueError, match="learning rate"):
        run_fold(trial_of(place, schedule=replace(QUICK, optimiser="sgd", rate=1e30, epochs=5)), 0)


def test_a_trials_result_survives_json(place):
    folds = tuple(run_fold(trial_of(place), number) for number in range(2))
    result = TrialResult(schedule=QUICK, folds=folds)
    read = from_json(to_json(result))
    assert read.schedule == QUICK
    np.testing.assert_array_equal(read.points, result.points)
    np.testing.assert_array_equal(read.sigma, result.sigma)
    np.testing.assert_array_equal(read.depth, result.depth)
    assert read.error_px == result.error_px and read.error_px_sd == result.error_px_sd
    cases = read_cases(str(place / "study"), HAND, depth=False)
    by_fold = [cases.errors_px(result.points)[fold.test].mean() for fold in folds]
    assert result.error_px == pytest.approx(np.mean(by_fold), rel=1e-5)


def result_with(name, error):
    from tuning.trial import FoldResult

    fold = FoldResult(
        fold=0, test=np.arange(1), points=np.zeros((1, 5, 2)), sigma=np.zeros((1, 5)), depth=np.zeros((1, 5)),
        error_px=error, error_mm=error, losses=(), num_train=1, seconds=0.0,
    )  # fmt: skip
    return TrialResult(schedule=replace(QUICK, name=name), folds=(fold, fold))


def test_the_choice_is_deterministic_and_ties_go_to_the_first():
    results = [result_with("a", 2.0), result_with("b", 1.0), result_with("c", 1.0), result_with("d", float("nan"))]
    assert choose(results).schedule.name == "b"
    with pytest.raises(ValueError, match="no schedule"):
        choose([result_with("d", float("nan"))])


def test_the_refitted_model_carries_radii_depth_and_its_data(place):
    cases = read_cases(str(place / "study"), HAND, depth=True)
    trial = trial_of(place)
    result = TrialResult(schedule=QUICK, folds=tuple(run_fold(trial, number) for number in range(2)))
    refitted = refit(load_model(str(place / "network")), cases, trial)
    card = save_refitted(str(place / "model"), refitted, cases, result, "digest", {"a": 1})
    assert read_card(str(place / "model")) == card
    assert card.conformal.unit == "sigma" and card.conformal.num_subjects == (10,) * 5
    scores = cases.errors_px(result.points) / (result.sigma * np.array(card.sigma_scale))
    worst = np.array([scores[2 * i : 2 * i + 2].max(0) for i in range(10)])
    np.testing.assert_allclose(card.conformal.radii, np.sort(worst, axis=0)[9])  # ceil(11 * 0.9) = 10th of 10
    assert card.conformal.simultaneous == pytest.approx(worst.max()) and card.conformal.num_simultaneous == 10
    np.testing.assert_allclose(card.mean_depth, cases.depths().mean(0), rtol=1e-5)
    assert all(factor > 0 for factor in card.sigma_scale)
    assert card.data == {"renderings": "toy", "study": cases.digest, "pretrained": "digest"}


@pytest.mark.parametrize("depth", [True, False])
def test_a_network_keeps_to_its_depths_where_the_study_has_some(place, depth):
    """A study of 2D images trains its points alone; volumes then get the mean depth of before."""
    recipe = ModelRecipe(network="heatmap", width=8, regress_depth=True)
    uri, study = str(place / f"regressing_{depth}"), str(place / f"study_{depth}")
    torch.manual_seed(3)
    save_model(uri, build_model(recipe, HAND), replace(toy_card(recipe), depth_regressed=True, mean_depth=(0.5,) * 5))
    write_toy(toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=depth), study)
    cases, trial = read_cases(study, HAND, depth=True), trial_of(place, f"study_{depth}", pretrained=uri)
    result = TrialResult(schedule=QUICK, folds=tuple(run_fold(trial, number) for number in range(2)))
    assert np.isfinite(result.points).all() and np.isfinite([fold.losses for fold in result.folds]).all()
    refitted = refit(load_model(uri), cases, trial)
    card = calibrated(refitted.card, cases, result)
    if depth:
        means, deviations = cases.depth_scales()
        error = np.abs(result.depth * deviations[:, None] + means[:, None] - cases.samples.landmarks[:, :, 2]).mean()
        assert card.metrics["out_of_fold_depth_mm"] == pytest.approx(error, rel=1e-4)
    head = refitted.model.depth_head
    still = torch.equal(head.bias, load_model(uri).model.depth_head.bias)
    assert card.depth_regressed == depth and (card.mean_depth == (0.5,) * 5) != depth and still != depth


def test_a_network_of_thickness_is_fine_tuned_on_a_study_that_has_it(place):
    recipe = ModelRecipe(network="heatmap", width=8, inputs=("silhouette", "thickness"))
    uri, study = str(place / "thick_network"), str(place / "thick_study")
    torch.manual_seed(3)
    save_model(uri, build_model(recipe, HAND), toy_card(recipe))
    plain = toy_samples(20, 1, per_subject=2, pixel_mm=2.0, depth=True)
    write_toy(replace(plain, thickness_mm=plain.depth_mm), study)
    assert np.isfinite(run_fold(trial_of(place, "thick_study", pretrained=uri), 0).points).all()
    with pytest.raises(ValueError, match="the network needs thickness, and these patches have none"):
        run_fold(trial_of(place, "study", pretrained=uri), 0)


def test_a_network_that_saw_the_study_is_refused(place):
    cases = read_cases(str(place / "study"), HAND, depth=False)
    check_network(str(place / "network"), cases)
    write_network(str(place / "seen"), data={"study": cases.digest})
    with pytest.raises(ValueError, match="trained on this very study"):
        check_network(str(place / "seen"), cases)
    write_network(str(place / "cut"), crop=Crop(margin=0.1))
    with pytest.raises(ValueError, match="cut with"):
        check_network(str(place / "cut"), replace(cases, crop=Crop()))
    write_network(str(place / "body"), anatomy=BODY)
    with pytest.raises(ValueError, match="for a body; the study is of a hand"):
        check_network(str(place / "body"), cases)


def test_what_is_no_annotated_study_is_refused(place):
    with pytest.raises(ValueError, match="not a study"):
        read_cases(write_toy(toy_samples(4, 1), str(place / "renderings")), HAND, depth=False)
    bare = toy_samples(4, 1, per_subject=1)
    bare.landmarks[:] = np.nan
    with pytest.raises(ValueError, match="no annotated landmark"):
        read_cases(write_toy(bare, str(place / "bare")), HAND, depth=False)


def test_schedule_json_is_read_back_and_nothing_else_is(tmp_path):
    chosen = ChosenSchedule(
        schedule=QUICK, anatomy="hand", network="heatmap", study_digest="x", num_schedules=2, num_folds=3, seed=1,
        error_px=1.25, failed=("boom",),
    )  # fmt: skip
    path = tmp_path / "schedule.json"
    assert not is_finished(str(path), chosen)
    path.write_bytes(as_json(chosen))
    assert read_chosen(str(path)) == chosen
    assert is_finished(str(path), chosen) and not is_finished(str(path), replace(chosen, error_px=1.0))
    path.write_text('{"epochs": 3}')
    with pytest.raises(ValueError, match="is not the schedule"):
        read_chosen(str(path))
    with pytest.raises(ValueError, match="cannot be read"):
        read_chosen(str(tmp_path / "nowhere.json"))
