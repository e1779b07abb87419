#!/usr/bin/env python3
"""Compare all methods on a study: NN(syn), NN(study) and, for every network, CNN(syn), CNN(study) and CNN(ft).

  python pipelines/evaluate.py hand --study /data/study --data /data/hands --pretrained /data/hand_model/model \\
      --schedule /data/sweep/schedule.json --out /data/report

One fold set by subject for every method; nobody is predicted by what was trained on that subject. Give --pretrained
several times to compare networks, and --schedule once for all of them or once for each; without it, the recipe's first.
CNN(study) is trained from fresh weights by sweep.scratch, or by the same schedule. Open OUT/report.html.
On 2 cores: 20 hands, 2 folds, one heatmap network, in about a minute.
"""

import argparse
import os
from collections.abc import Sequence

from pipelines.cli import UsageError, as_dict, parser, positive, progress, require_empty, resolve, run, show_recipe
from pipelines.recipes import Recipe
from synth.domain.anatomy import anatomy_named
from synth.domain.shards import Manifest, read_manifest, read_samples
from training.job import absolute_uri
from training.provenance import git_commit, versions
from tuning.baselines import mean_depth_errors_mm
from tuning.cases import Cases, check_network, read_cases
from tuning.findings import headline
from tuning.folds import make_folds
from tuning.ladder import Protocol, Rung, nearest_methods, network_methods, num_jobs
from tuning.refit import ChosenSchedule, read_chosen
from tuning.report import Ladder, write_report
from tuning.schedule import Schedule
from tuning.table import known_units, ladder_text, ratios


def main(argv: Sequence[str]) -> str:
    """Where the report is."""
    given = arguments().parse_args(argv)
    if len(given.schedule) > 1 and len(given.schedule) != len(given.pretrained):
        raise UsageError(f"--schedule is given {len(given.schedule)} times for {len(given.pretrained)} networks")
    recipe = resolve(given.recipe, given.overrides)
    require_empty(given.out)
    cases = read_cases(given.study, anatomy_named(recipe.anatomy), depth=True)
    folds = make_folds(cases.subjects, recipe.sweep.folds, recipe.sweep.seed)
    chosen = [read_chosen(uri) for uri in given.schedule]
    rungs = rungs_of(recipe, given.pretrained, chosen, cases)
    renderings = read_manifest(given.data)
    if renderings.kind != "renderings":
        raise ValueError(f"--data {given.data} holds a {renderings.kind}; give renderings made by render.py")
    synthetic = read_samples(given.data, cases.anatomy)
    show_recipe(recipe)
    protocol = Protocol(
        anatomy=recipe.anatomy, study=absolute_uri(given.study), num_folds=len(folds), seed=recipe.sweep.seed
    )
    with progress(len(cases), "case", f"nearest of {len(synthetic)} renderings") as bar:
        methods = nearest_methods(synthetic, cases, folds, bar.update)
    with progress(num_jobs(protocol, rungs), "training", f"{len(rungs)} network(s), {len(folds)} folds") as bar:
        methods += network_methods(protocol, rungs, cases, given.workers, bar.update)
    ladder = Ladder(
        title=f"Landmarks of the {recipe.anatomy}: {len(cases)} cases of {cases.num_subjects} subjects",
        cases=cases,
        folds=folds,
        methods=methods,
        synthetic=synthetic,
        depths={"mean depth": mean_depth_errors_mm(cases, folds)},
        num_schedules=max([c.num_schedules for c in chosen if c.study_digest == cases.digest], default=1),
        facts=facts(given.study, cases, renderings, rungs, len(folds)),
        settings=settings(recipe, cases, renderings, rungs),
    )
    write_report(ladder, given.out)
    print_ladder(ladder)
    return f"{given.out}/report.html: {len(methods)} methods on {len(cases)} cases"


def arguments() -> argparse.ArgumentParser:
    """The options of this verb."""
    options = parser(__doc__ or "")
    options.add_argument("--study", required=True, help="folder or URI of a study")
    options.add_argument("--data", required=True, help="folder or URI of the renderings that NN(syn) searches")
    options.add_argument("--pretrained", required=True, action="append", help="model folder or URI; may be repeated")
    options.add_argument(
        "--schedule", action="append", default=[], help="schedule.json of a sweep; once, or per network"
    )
    options.add_argument("--out", required=True, help="folder or URI of the report")
    options.add_argument("--workers", type=positive, default=os.cpu_count() or 1, help="processes; default: cores")
    return options


def rungs_of(recipe: Recipe, pretrained: Sequence[str], chosen: Sequence[ChosenSchedule], cases: Cases) -> list[Rung]:
    """A rung per network, named after it, with its schedules. Raises ValueError where one does not fit the study."""
    for choice in chosen:
        if choice.anatomy != recipe.anatomy:
            raise ValueError(f"schedule {choice.schedule.name} is for a {choice.anatomy}, not a {recipe.anatomy}")
    rungs: list[Rung] = []
    for i, uri in enumerate(pretrained):
        card = check_network(uri, cases)
        tuned = chosen[min(i, len(chosen) - 1)].schedule if chosen else recipe.sweep.schedules[0]
        same = sum(rung.name.split(" ")[0] == card.model.network for rung in rungs)
        rungs.append(
            Rung(
                name=card.model.network if same == 0 else f"{card.model.network} {same + 1}",
                uri=absolute_uri(uri),
                schedule=tuned,
                scratch=recipe.sweep.scratch or tuned,
            )
        )
    return rungs


def facts(
    study: str, cases: Cases, renderings: Manifest, rungs: Sequence[Rung], num_folds: int
) -> list[tuple[str, str]]:
    """(name, value) pairs that head the report."""
    leave_out = " (leave one subject out)" if num_folds == cases.num_subjects else " by subject"
    return [
        ("study", study),
        ("cases", f"{len(cases)} of {cases.num_subjects} subjects, {num_folds} folds{leave_out}"),
        ("renderings", f"{renderings.rows:,}"),
        *((f"CNN(ft) {rung.name}", words(rung.schedule)) for rung in rungs),
        *((f"CNN(study) {rung.name}", f"{words(rung.scratch)}, from fresh weights") for rung in rungs),
        ("code", git_commit()),
    ]  # fmt: skip


def words(schedule: Schedule) -> str:
    """A schedule in few words."""
    steps = f", x{schedule.factor:g} after {', '.join(map(str, schedule.milestones))} {schedule.unit}"
    return (
        f"{schedule.name}, {schedule.epochs} epochs of {schedule.optimiser} at {schedule.rate:g}"
        f"{steps if schedule.milestones else ''}"
    )


def settings(recipe: Recipe, cases: Cases, renderings: Manifest, rungs: Sequence[Rung]) -> dict[str, object]:
    """JSON types that repeat the evaluation."""
    return {
        "recipe": as_dict(recipe),
        "networks": [{**as_dict(rung), "digest": check_network(rung.uri, cases).digest} for rung in rungs],
        "study_digest": cases.digest,
        "renderings_digest": renderings.digest,
        "git_commit": git_commit(),
        "versions": versions(),
    }


def print_ladder(ladder: Ladder) -> None:
    """Print the ladder in patch px, and in mm where known, and the ratios beside the paper's."""
    for unit in known_units(ladder.cases):
        if unit != "source_px":
            print(ladder_text(ladder.cases, ladder.ordered, unit))
    print(headline(ladder.cases, ladder.comparisons))
    print("ratios of mean errors in source px (the paper's are from its own private data)")
    for name, network, ours, paper in ratios(ladder.cases, ladder.methods):
        print(f"  {name} {network}: {ours:.2f} (paper {paper:.2f})", flush=True)


if __name__ == "__main__":
    run(main)
