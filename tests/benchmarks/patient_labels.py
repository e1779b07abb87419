"""How far landmarks of virtual patients lie from where the generator would put them on the same skin; prints a table.

  python -m tests.benchmarks.patient_labels [--count 100] [--seed 1]

Per landmark: mean distance and deviation in the picture and in space, and the mean difference (bias) to the patient's
left, back and head, mm. 10 s on one core.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.recipes import RECIPES
from synth.body.model import sample_bodies
from synth.domain.anatomy import Anatomy, anatomy_named
from synth.figure import sample_figure, sample_people
from synth.hand.model import hand_of
from synth.mesh import Posed
from synth.patient import lay_body, lay_hand
from synth.points import points_of
from synth.reference import sample_build
from synth.template import Template, load_template


def generators(template: Template, anatomy: Anatomy, posed: Posed) -> NDArray[np.float64]:
    """(K, 3) the generator's landmarks of a posed mesh, in patient mm."""
    x, y, z = (points_of(template, anatomy, posed) @ posed.view.T)[anatomy.rows].T
    return np.column_stack([x, z, -y])


def differences(name: str, seed: int, count: int) -> NDArray[np.float64]:
    """(N, K, 3) mm from the generator's landmarks to the patients', on the same undeformed "hand" or "body"."""
    recipe, template = RECIPES[f"{name}_virtual_study"]().phantom.figure, load_template(name)
    anatomy = anatomy_named(name)
    rngs = [np.random.default_rng([seed, k]) for k in range(count)]
    if name == "hand":
        posed = [hand_of(template, sample_figure(recipe, template, rng).parameters) for rng in rngs]
        laid = [lay_hand(template, anatomy, one, (), "left") for one in posed]
    else:
        assert recipe.body is not None
        people = sample_people(recipe, template, rngs)
        posed, _ = sample_bodies(recipe.body.pose, template, people, rngs)
        sexes = ["female" if person["gender"] > 0.5 else "male" for person in people]
        builds = [sample_build(sex, 26.0, np.random.default_rng([seed, k, 1])) for k, sex in enumerate(sexes)]
        laid = [lay_body(template, anatomy, one, (), build) for one, build in zip(posed, builds, strict=True)]
    return np.stack(
        [one.landmarks - generators(template, anatomy, mesh) for one, mesh in zip(laid, posed, strict=True)]
    )


def main(argv: Sequence[str]) -> int:
    """Exit code 0."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args(argv)
    print(f"{'':24s} in the picture   in space        bias: left   back   head")
    for anatomy in ("hand", "body"):
        away = differences(anatomy, given.seed, given.count)
        flat, space = np.linalg.norm(away[:, :, [0, 2]], axis=2), np.linalg.norm(away, axis=2)
        for k, name in enumerate(anatomy_named(anatomy).names):
            spread = " ".join(f"{d[:, k].mean():7.1f} ± {d[:, k].std():4.1f}" for d in (flat, space))
            print(f"{name:24s} {spread}        " + " ".join(f"{v:6.1f}" for v in away[:, k].mean(0)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
