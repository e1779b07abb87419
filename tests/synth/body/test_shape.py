"""Body shapes: people get the stature, mass and measures asked of them, as real adults have them."""

import numpy as np
import pytest

from pipelines.recipes import RECIPES
from synth.body.anthropometry import MEASURES, mean_measures
from synth.body.child import ChildShape
from synth.body.fit import DENSITY, coarse_of, measure, stature, volume
from synth.body.proportions import FACTORS, PREFIX, Factors, apply_factors, plan_of, rest_body
from synth.body.shape import AdultShape, BodyShape, adult
from synth.figure import RenderRecipe, draw, sample_person
from synth.mesh import Array, Parameters, rest_mesh
from synth.template import Template, load_template
from tests.benchmarks.anthropometry import compare, data_path, read_survey, synthesise

pytestmark = pytest.mark.slow
SEXES = ("male", "female")


@pytest.fixture(scope="module")
def template() -> Template:
    return load_template("body")


def _rest(template: Template, person: Parameters) -> tuple[Array, Array]:
    return rest_body(template, person)


def _bmi(template: Template, vertices: Array) -> float:
    return DENSITY * volume(template, vertices) / stature(plan_of(template), vertices) ** 2


@pytest.mark.parametrize("sex", SEXES)
@pytest.mark.parametrize("bmi", [14.0, 20.0, 27.0, 36.0, 45.0, 55.0])
def test_stature_and_mass_are_those_asked(template: Template, sex: str, bmi: float) -> None:
    for k, tall in enumerate((1.50, 1.70, 1.90)):
        vertices, _ = _rest(template, adult(template, sex, 20.0 + 30 * k, tall, bmi, np.random.default_rng([1, k])))
        assert stature(plan_of(template), vertices) == pytest.approx(tall, abs=0.005)
        assert np.ptp(vertices[:, 2]) == pytest.approx(tall, abs=0.005), "nothing reaches below the soles or above"
        assert _bmi(template, vertices) == pytest.approx(bmi, rel=0.04)


@pytest.mark.parametrize(("sex", "knee"), [("male", 0.280), ("female", 0.286)])
def test_shoulders_and_knees_are_at_their_heights_in_short_and_tall_people(
    template: Template, sex: str, knee: float
) -> None:
    shoulder, epicondyle = template.bone("upperarm01.L"), template.bone("lowerleg01.L")
    found = []
    for k in range(100):
        tall = (1.62 if sex == "male" else 1.50) + 0.26 * k / 99
        vertices, heads = _rest(template, adult(template, sex, 35.0, tall, 26.0, np.random.default_rng([2, k])))
        found.append((heads[[shoulder, epicondyle], 2] - vertices[:, 2].min()) / tall)
    mean, slope = np.mean(found, axis=0), np.polyfit(np.linspace(-1.3, 1.3, 100), np.array(found)[:, 1], 1)[0]
    assert mean[0] == pytest.approx(0.800, abs=0.01)
    assert mean[1] == pytest.approx(knee, abs=0.003)
    assert 0.0 < slope < 0.006, "knees rise with stature, by 0.003 per 100 mm"


@pytest.mark.parametrize("sex", SEXES)
def test_the_average_person_has_the_average_measures(template: Template, sex: str) -> None:
    tall = 1.75 if sex == "male" else 1.63
    people = [adult(template, sex, 30.0, tall, 26.0, np.random.default_rng([3, k])) for k in range(60)]
    found = [measure(plan_of(template), *_rest(template, person)) for person in people]
    wanted = mean_measures(sex, tall, 26.0, 30.0)
    assert np.mean(found, axis=0) == pytest.approx(wanted, rel=0.03)


def test_the_population_is_as_wide_as_patients_are(template: Template) -> None:
    people = [AdultShape().sample(template, np.random.default_rng([4, k])) for k in range(150)]
    bmis = np.array([_bmi(template, _rest(template, person)[0]) for person in people])
    assert bmis.min() < 17 and bmis.max() > 48
    assert np.mean(bmis > 40) > 0.05
    assert 0.35 < np.mean([person["gender"] > 0.5 for person in people]) < 0.65
    assert all(isinstance(value, float) for value in people[0].values())


def test_people_are_symmetric(template: Template) -> None:
    _, heads = _rest(template, adult(template, "female", 60.0, 1.6, 35.0, np.random.default_rng([5, 0])))
    plain = rest_mesh(template, {})[1]
    for name in ("upperarm01", "wrist", "finger3-3", "lowerleg01", "foot", "toe1-2"):
        left, right = (template.bone(f"{name}.{side}") for side in "LR")
        assert plain[left] * [-1, 1, 1] == pytest.approx(plain[right], abs=1e-4)
        assert heads[left] * [-1, 1, 1] == pytest.approx(heads[right], abs=5e-4)


def test_factors_of_one_change_nothing_and_each_factor_does_what_its_name_says(template: Template) -> None:
    plan, rest = plan_of(template), rest_mesh(template, {"age": 0.75})
    for before, after in zip(rest, apply_factors(plan, *rest, Factors()), strict=True):
        assert after == pytest.approx(before, abs=1e-6)
    before = dict(zip(MEASURES, measure(plan, *rest), strict=True))
    changed = {
        "hand": "hand", "foot": "foot", "hips": "hip_breadth", "hips_depth": "buttock_depth",
        "waist": "waist_breadth", "waist_depth": "waist_depth", "chest": "chest_breadth", "chest_depth": "chest_depth",
    }  # fmt: skip
    for factor, name in changed.items():
        after = dict(zip(MEASURES, measure(plan, *apply_factors(plan, *rest, Factors(**{factor: 1.1}))), strict=True))
        assert after[name] / before[name] == pytest.approx(1.1, abs=0.03)
        others = {other for other in MEASURES if abs(after[other] / before[other] - 1) > 0.06}
        assert others <= {name}


def test_the_coarse_copy_weighs_as_much_as_the_mesh(template: Template) -> None:
    coarse = coarse_of(template)
    for k in range(20):
        person = AdultShape().sample(template, np.random.default_rng([6, k]))
        shares = [volume(t, _rest(t, person)[0]) for t in (template, coarse.template)]
        assert shares[1] * coarse.scale == pytest.approx(shares[0], rel=0.03)


def test_children_grow_with_age(template: Template) -> None:
    statures = []
    for age in (2.0, 6.0, 10.0, 15.0):
        shape = ChildShape(age=(age, age))
        people = [shape.sample(template, np.random.default_rng([7, k])) for k in range(20)]
        rest = [_rest(template, person)[0] for person in people]
        statures.append(np.mean([stature(plan_of(template), vertices) for vertices in rest]))
        assert 13 < np.median([_bmi(template, vertices) for vertices in rest]) < 24
    assert statures == pytest.approx([0.86, 1.15, 1.38, 1.65], abs=0.05)


@pytest.mark.parametrize("name", ["body", "body_child", "body_paper"])
def test_a_person_of_each_recipe_is_drawn_from_its_seed_and_names_what_made_it(template: Template, name: str) -> None:
    render: RenderRecipe = RECIPES[name]().render
    first, again = (draw(render, template, 8, 1) for _ in range(2))
    assert np.array_equal(first.vertices, again.vertices)
    person = sample_person(render, template, np.random.default_rng([8, 2]))
    assert any(key.startswith(PREFIX) for key in person) == (name != "body_paper")
    assert {key.removeprefix(PREFIX) for key in person if key.startswith(PREFIX)} <= set(FACTORS)


def test_impossible_people_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape\.age is .* \[16, 90\] years"):
        AdultShape(age=(5.0, 20.0))
    with pytest.raises(ValueError, match=r"shape\.bmi is .* \[14, 55\]"):
        AdultShape(bmi=(10.0, 30.0))
    with pytest.raises(ValueError, match=r"shape\.age is .* \[2, 16\] years"):
        ChildShape(age=(0.5, 3.0))
    with pytest.raises(ValueError, match=r"shape\.changes is"):
        BodyShape(changes=2.0)


def test_synthetic_adults_match_measured_ones(template: Template) -> None:
    """The benchmark at small size: 400 people, all bands together, limits wider by the means' own spread."""
    if not data_path().is_file():
        pytest.skip(f"{data_path()} is not there")
    real = read_survey(data_path())
    for row in compare(real, synthesise(template, real, 400, np.random.default_rng([9, 0]))):
        if row.band == 0:
            assert abs(row.off_sd) < 0.4 and 0.7 < row.sd_ratio < 1.5, row
