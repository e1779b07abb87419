#!/usr/bin/env python3
"""Compare all methods on a study: mean shape, nearest patches, a regression forest, and every network in its states.

  python pipelines/evaluate.py hand --study /data/study --data /data/hands --pretrained /data/hand_model/model \\
      --schedule /data/sweep/schedule.json --out /data/report
  python pipelines/evaluate.py hand --study ... --seeds 5                  # repeated with other folds and trainings
  python pipelines/evaluate.py hand --study ... --worth 1,2,5,10,all       # on fewer annotated subjects: OUT/worth.svg

One fold set by subject for every method; nobody is predicted by what was trained on that subject. Give --pretrained
several times to compare networks, and --schedule once for all of them or once for each; without it, the recipe's first.
A schedule that a nested sweep chose on inner folds is that of its own outer fold: give its --folds. CNN(study) is
trained from fresh weights by sweep.scratch, or by the same schedule. Every finished training is kept under OUT/parts:
run the same command again and only what is missing is run. Open OUT/report.html.
On 2 cores: 20 hands, 2 folds, one heatmap network, in about a minute.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.cli import UsageError, as_dict, parser, positive, progress, resolve, run, show_recipe
from pipelines.recipes import Recipe
from synth.domain.anatomy import anatomy_named
from synth.domain.shards import Manifest, read_manifest, read_samples
from synth.domain.storage import read_bytes
from training.job import absolute_uri
from training.provenance import git_commit, versions
from training.shipped import shipped_folder
from tuning.cases import Cases, check_network, read_cases
from tuning.depths import depth_errors_mm
from tuning.findings import headline
from tuning.folds import folds_text, make_folds, parse_folds, read_folds, traits_of
from tuning.forest import ForestRecipe
from tuning.jobs import Job, Protocol, Rung, missing_jobs, run_missing
from tuning.ladder import best_tuned, depths_of, ladder_jobs, plain_methods, trained_methods
from tuning.parts import check_output, open_parts
from tuning.refit import ChosenSchedule, read_chosen
from tuning.report import Ladder, write_report
from tuning.schedule import Schedule
from tuning.table import known_units, ladder_text, ratios
from tuning.worth import measured, subset_jobs

CONVENTION = " after the labels' convention"


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is compared on what. study, data: as given; renderings: the manifest of data; chosen: by sweeps"""

    recipe: Recipe
    study: str
    data: str
    cases: Cases
    renderings: Manifest
    rungs: list[Rung]
    chosen: list[ChosenSchedule]
    protocol: Protocol


def main(argv: Sequence[str]) -> str:
    """Where the report is."""
    given = arguments().parse_args(argv)
    recipe = resolve(given.recipe, given.overrides)
    given.pretrained = given.pretrained or [shipped_folder(recipe.anatomy)]
    if len(given.schedule) > 1 and len(given.schedule) != len(given.pretrained):
        raise UsageError(f"--schedule is given {len(given.schedule)} times for {len(given.pretrained)} networks")
    plan = plan_of(recipe, given)
    jobs = ladder_jobs(plan.protocol, plan.rungs)
    subsets = subset_jobs(plan.protocol, plan.rungs, plan.cases, given.worth or ())
    parts = open_parts(given.out, settings(plan))
    show_recipe(plan.recipe)
    with progress(len(missing_jobs([*jobs, *subsets], parts)), "job", f"{len(plan.rungs)} network(s)") as bar:
        run_missing(plan.protocol, [*jobs, *subsets], parts, given.workers, bar.update)
    ladder = ladder_of(plan, jobs, parts)
    if given.worth is not None:
        ladder = replace(ladder, worth=measured([*jobs, *subsets], plan.protocol, parts, plan.cases))
    write_report(ladder, given.out)
    print_ladder(ladder)
    return f"{given.out}/report.html: {len(ladder.methods)} methods on {len(plan.cases)} cases"


def plan_of(recipe: Recipe, given: argparse.Namespace) -> Plan:
    """The plan of a command line. Raises ValueError where its parts do not fit each other."""
    check_output(given.out)
    cases = read_cases(given.study, anatomy_named(recipe.anatomy), depth=True)
    renderings = read_manifest(given.data)
    if renderings.kind != "renderings":
        raise ValueError(f"--data {given.data} holds a {renderings.kind}; give renderings made by render.py")
    chosen = [read_chosen(uri) for uri in given.schedule]
    fixed = given.folds is not None or any(choice.by_fold for choice in chosen)
    protocol = protocol_of(recipe, given, cases, fixed=fixed)
    check_nested(given.schedule, chosen, protocol)
    return Plan(
        recipe=recipe,
        study=given.study,
        data=given.data,
        cases=cases,
        renderings=renderings,
        rungs=rungs_of(recipe, given.pretrained, chosen, cases),
        chosen=chosen,
        protocol=protocol,
    )


def arguments() -> argparse.ArgumentParser:
    """The options of this verb."""
    options = parser(__doc__ or "")
    options.add_argument("--study", required=True, help="folder or URI of a study")
    options.add_argument("--data", required=True, help="folder or URI of the renderings that NN(syn) searches")
    options.add_argument(
        "--pretrained", action="append", help="model folder or URI; may be repeated; default: the shipped one"
    )
    options.add_argument(
        "--schedule", action="append", default=[], help="schedule.json of a sweep; once, or per network"
    )
    options.add_argument("--folds", type=Path, metavar="FILE", help="a folds.csv, in place of sweep.folds and its seed")
    options.add_argument(
        "--seeds", type=positive, default=1, help="repeats, each with folds and seeds of its own; default: 1"
    )
    options.add_argument(
        "--worth", type=sizes, metavar="1,2,5,all", help="also train on so many subjects: OUT/worth.csv and worth.svg"
    )
    options.add_argument("--out", required=True, help="folder or URI of the report")
    options.add_argument("--workers", type=positive, default=os.cpu_count() or 1, help="processes; default: cores")
    return options


def sizes(text: str) -> tuple[int, ...]:
    """argparse type: numbers of subjects, rising; "all" is always among them and need not be said."""
    return tuple(sorted({positive(word) for word in text.split(",") if word != "all"}))


def protocol_of(recipe: Recipe, given: argparse.Namespace, cases: Cases, *, fixed: bool) -> Protocol:
    """Folds and seeds of every repeat; `fixed`: all repeats keep the first one's folds, and only train anew."""
    seed, k, traits = recipe.sweep.seed, recipe.sweep.folds, traits_of(cases.attributes)
    seeds = [seed, *(repeat_seed(seed, repeat) for repeat in range(1, given.seeds))]
    if given.folds is None:
        folds = [make_folds(cases.subjects, k, seed, traits)]
    else:
        folds = [read_folds(given.folds, cases.subjects)]
    folds += [folds[0] if fixed else make_folds(cases.subjects, k, other, traits) for other in seeds[1:]]
    return Protocol(
        anatomy=recipe.anatomy,
        study=absolute_uri(given.study),
        folds=tuple(folds_text(cases.subjects, split) for split in folds),
        fixed=fixed,
        seeds=tuple(seeds),
        forest=ForestRecipe(),
    )


def repeat_seed(seed: int, repeat: int) -> int:
    """The seed of a further repeat."""
    return int(np.random.SeedSequence([seed, repeat, 1]).generate_state(1)[0])


def check_nested(uris: Sequence[str], chosen: Sequence[ChosenSchedule], protocol: Protocol) -> None:
    """Raise ValueError where schedules were chosen on inner folds of other outer folds than the evaluation's."""
    for uri, choice in zip(uris, chosen, strict=True):
        beside = uri.replace("schedule.json", "folds.csv")
        if choice.by_fold and read_bytes(beside) != protocol.folds[0].encode():
            raise ValueError(
                f"the schedules in {uri} were chosen on other folds than these; give --folds {beside}, on which "
                "nobody is tested by what was chosen on that subject"
            )


def ladder_of(plan: Plan, jobs: Sequence[Job], parts: str) -> Ladder:
    """The ladder of finished jobs, with what needs no training."""
    cases, folds = plan.cases, parse_folds(plan.protocol.folds[0], plan.cases.subjects)
    synthetic = read_samples(plan.data, cases.anatomy)
    with progress(len(cases), "case", f"nearest of {len(synthetic)} renderings") as bar:
        methods = plain_methods(synthetic, cases, folds, bar.update)
    methods += trained_methods(jobs, parts, cases, folds)
    best, said = best_tuned(jobs, parts, cases)
    return Ladder(
        title=f"Landmarks of the {plan.recipe.anatomy}: {len(cases)} cases of {cases.num_subjects} subjects",
        cases=cases,
        folds=folds,
        methods=methods,
        synthetic=synthetic,
        depths=depth_errors_mm(cases, folds, said.points, depths_of(said)),
        num_schedules=max([choice.num_schedules for choice in plan.chosen if biased(choice, cases)], default=1),
        facts=facts(plan, best),
        settings={**settings(plan), "seeds": list(plan.protocol.seeds), "versions": versions()},
    )


def biased(choice: ChosenSchedule, cases: Cases) -> bool:
    """Whether the schedule was chosen by its error on these very cases, not on inner folds."""
    return choice.study_digest == cases.digest and not choice.by_fold


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
                by_fold=chosen[min(i, len(chosen) - 1)].by_fold if chosen else (),
            )
        )
    return rungs


def facts(plan: Plan, best: str) -> list[tuple[str, str]]:
    """(name, value) pairs that head the report. best: the network of the CNN(ft) whose pixels depths are read at"""
    cases, num_folds = plan.cases, plan.protocol.num_folds
    leave_out = " (leave one subject out)" if num_folds == cases.num_subjects else " by subject"
    return [
        ("study", plan.study),
        ("cases", f"{len(cases)} of {cases.num_subjects} subjects, {num_folds} folds{leave_out}"),
        ("renderings", f"{plan.renderings.rows:,}"),
        *((f"CNN(ft) {rung.name}", tuning_words(rung)) for rung in plan.rungs),
        *((f"CNN(study) {rung.name}", f"{words(rung.scratch.fresh())}, from fresh weights") for rung in plan.rungs),
        ("RF", f"{plan.protocol.forest.trees} trees that vote by box features"),
        ("depth", f"read at the pixels predicted by CNN(ft) {best}"),
        ("seeds", f"{len(plan.protocol.seeds)}, the first one's errors unless said otherwise"),
        ("code", git_commit()),
    ]  # fmt: skip


def tuning_words(rung: Rung) -> str:
    """How a network is fine-tuned, in few words."""
    if not rung.by_fold:
        return words(rung.schedule)
    names = ", ".join(f"{number}: {schedule.name}" for number, schedule in enumerate(rung.by_fold))
    return f"by fold, chosen on inner folds: {names}"


def words(schedule: Schedule) -> str:
    """A schedule in few words."""
    if schedule.freeze == "all":
        return f"{schedule.name}, the labels' convention alone" if schedule.convention else f"{schedule.name}, nothing"
    steps = f", x{schedule.factor:g} after {', '.join(map(str, schedule.milestones))} {schedule.unit}"
    return (
        f"{schedule.name}, {schedule.epochs} epochs of {schedule.optimiser} at {schedule.rate:g}"
        f"{steps if schedule.milestones else ''}{CONVENTION if schedule.convention else ''}"
    )


def settings(plan: Plan) -> dict[str, object]:
    """JSON types that repeat the evaluation; more seeds and numbers of subjects may join it later."""
    protocol = plan.protocol
    return {
        "recipe": as_dict(plan.recipe),
        "networks": [{**as_dict(rung), "digest": check_network(rung.uri, plan.cases).digest} for rung in plan.rungs],
        "study_digest": plan.cases.digest,
        "renderings_digest": plan.renderings.digest,
        "folds": protocol.folds[0],
        "fixed_folds": protocol.fixed,
        "forest": as_dict(protocol.forest),
        "git_commit": git_commit(),
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
