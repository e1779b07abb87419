#!/usr/bin/env python3
"""Try every fine-tuning schedule of a recipe on a study, choose one, and refit it on all cases.

  python pipelines/sweep.py hand --study /data/study --pretrained /data/hand_model/model --out /data/sweep
  python pipelines/sweep.py hand --study ... --set sweep.inner_folds=3      # nested cross-validation
  python pipelines/sweep.py body --study ... --set sweep.folds=leave_one_out
  python pipelines/sweep.py hand_search --study ...                         # schedules proposed by Optuna

Folds are split by subject inside each trial, and stratified by what study.py --subjects was told of the subjects;
OUT/folds.csv says how, and --folds takes such a file. The plain error chose the schedule, and so is a little too good;
the nested one comes from outer folds that each choice never saw. Run the same command again and only what is missing is
run; a schedule that failed is reported and tried again. OUT/schedule.json is the choice, OUT/model the network refitted
on every case. On 2 cores: 3 schedules of 40 epochs on 20 hands, 2 folds, in about a minute.
"""

import argparse
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.cli import as_dict, parser, positive, progress, resolve, run, show_recipe, start_ray
from pipelines.recipes import Recipe
from synth.domain.anatomy import anatomy_named
from synth.domain.storage import write_bytes
from training import tracking
from training.checkpoint import load_model, model_files, read_card
from training.job import absolute_uri
from training.mlflow_ui import compare_address, run_address, ui_command
from training.shipped import shipped_folder
from tuning.cases import Cases, read_cases
from tuning.folds import folds_text, make_folds, read_folds, traits_of
from tuning.nested import NestedResult, nested_result
from tuning.record import open_sweep_run, record_choice, record_failure, record_trial
from tuning.refit import ChosenSchedule, as_json, choose, is_finished, refit, save_refitted
from tuning.store import within
from tuning.sweep import (
    Resources,
    Sweep,
    extended,
    failures,
    finished,
    finished_inner,
    open_sweep,
    run_missing,
)
from tuning.trial import TrialResult


def main(argv: Sequence[str]) -> str:
    """Where the refitted model is, with the chosen schedule and its error on unseen subjects."""
    given = arguments().parse_args(argv)
    recipe = resolve(given.recipe, given.overrides)
    study = absolute_uri(given.study)
    cases = read_cases(study, anatomy_named(recipe.anatomy), depth=True)
    sweep = Sweep(
        anatomy=recipe.anatomy,
        study=study,
        pretrained=absolute_uri(given.pretrained or shipped_folder(recipe.anatomy)),
        out=absolute_uri(given.out),
        recipe=recipe.sweep,
        folds=text_of_folds(given.folds, recipe, cases),
    )
    sweep_id = open_sweep(sweep, cases)
    show_recipe(recipe)
    record = open_sweep_run(
        tracking.open_experiment(given.experiment), sweep_id, sweep.out, f"{recipe.anatomy} sweep", as_dict(recipe)
    )
    resources = Resources(workers=given.workers, cpus=given.cpus_per_trial, gpus=given.gpus_per_trial)
    with tracking.recorded(record):
        sweep = run_trials(sweep, cases, record, resources)
        chosen = finish(sweep, recipe, cases, record)
        results = list(finished(sweep, sweep.trials).values())
        runs = record_choice(record, cases, results, chosen.schedule, within(sweep.out, "model"))
    print(f"MLflow: {ui_command()}")
    print(f"then the sweep: {run_address(record)}\nits schedules, side by side: {compare_address(runs)}")
    errors = f"{chosen.error_px:.2f} px on unseen subjects"
    if chosen.nested_error_px is not None:
        errors = f"{chosen.nested_error_px:.2f} px on unseen subjects (nested; plain: {chosen.error_px:.2f})"
    return f"{within(sweep.out, 'model')}: schedule {chosen.schedule.name}, {errors}"


def arguments() -> argparse.ArgumentParser:
    """The options of this verb."""
    options = parser(__doc__ or "")
    options.add_argument("--study", required=True, help="folder or URI of a study")
    options.add_argument("--pretrained", help="model folder or URI, as pretrain.py makes it; default: the shipped one")
    options.add_argument("--out", required=True, help="folder or URI of trials, choice and model")
    options.add_argument("--folds", type=Path, metavar="FILE", help="a folds.csv, in place of sweep.folds and its seed")
    options.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="trials at a time; default: cores"
    )
    options.add_argument("--cpus-per-trial", type=share, default=1.0, metavar="SHARE", help="of a core; default: 1")
    options.add_argument("--gpus-per-trial", type=share, default=0.0, metavar="SHARE", help="of a GPU; default: 0")
    options.add_argument("--experiment", default="sweep", help="MLflow experiment; default: sweep")
    return options


def share(text: str) -> float:
    """argparse type: a share of one core or GPU."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{value:g} is not allowed; a trial takes 0 to 1")
    return value


def text_of_folds(file: Path | None, recipe: Recipe, cases: Cases) -> str:
    """The text of folds.csv: the folds in the file, else those that the recipe makes."""
    if file is not None:
        return folds_text(cases.subjects, read_folds(file, cases.subjects))
    folds = make_folds(cases.subjects, recipe.sweep.folds, recipe.sweep.seed, traits_of(cases.attributes))
    return folds_text(cases.subjects, folds)


def run_trials(sweep: Sweep, cases: Cases, record: tracking.Run, resources: Resources) -> Sweep:
    """The sweep with all that its search proposed, after every missing trial was run and recorded."""
    done = -1
    while len(sweep.trials) > done:  # a search goes on until it proposes no more
        done = len(sweep.trials)
        run_batch(sweep, cases, record, resources)
        sweep = extended(sweep)
    results = finished(sweep, sweep.jobs)
    for failure in failures(sweep, results):
        print(f"schedule {failure.trial} failed: {failure.reason}", flush=True)
        if failure.trial in sweep.trials:
            record_failure(record, sweep.trials[failure.trial].schedule, failure.reason)
    if not any(name in results for name in sweep.trials):
        raise ValueError(f"every schedule failed; the first: {failures(sweep, results)[0].reason}")
    return sweep


def run_batch(sweep: Sweep, cases: Cases, record: tracking.Run, resources: Resources) -> None:
    """None; runs the trials that have no result; each is recorded as it ends."""

    def keep(name: str) -> None:
        if name in sweep.trials:
            for result in finished(sweep, [name]).values():
                record_trial(record, cases, result)

    results = finished(sweep, sweep.jobs)
    for name in results:  # an attempt may have been cut off between a trial's end and its record
        keep(name)
    missing = {name: trial for name, trial in sweep.jobs.items() if name not in results}
    if missing:
        start_ray(max(1, math.ceil(resources.workers * resources.cpus)))
        epochs = sum(trial.schedule.epochs * trial.num_folds for trial in missing.values())
        with progress(epochs, "epoch", f"{len(missing)} trial(s), {sweep.num_folds} folds") as bar:
            run_missing(sweep, list(missing), resources, bar.update, keep)


def finish(sweep: Sweep, recipe: Recipe, cases: Cases, record: tracking.Run) -> ChosenSchedule:
    """The choice, after it was written to schedule.json and its network, refitted on every case, to OUT/model."""
    results = finished(sweep, sweep.trials)
    best = choose(list(results.values()))
    nested = None if sweep.recipe.inner_folds is None else nested_result(results, finished_inner(sweep), best.schedule)
    chosen = ChosenSchedule(
        schedule=best.schedule,
        anatomy=sweep.anatomy,
        network=read_card(sweep.pretrained).model.network,
        study_digest=cases.digest,
        num_schedules=len(results),
        num_folds=sweep.num_folds,
        seed=sweep.recipe.seed,
        error_px=best.error_px,
        failed=tuple(failure.trial for failure in failures(sweep, finished(sweep, sweep.jobs))),
        by_fold=nested.by_fold if nested else (),
        nested_error_px=nested.error_px if nested else None,
    )
    print_table(results, chosen, nested)
    if not is_finished(within(sweep.out, "schedule.json"), chosen):
        # residuals that the choice never saw give the honest radii
        write_model(sweep, recipe, cases, chosen, nested.folds if nested else best)
        write_bytes(sweep.out, "schedule.json", as_json(chosen))
    record.log_files(model_files(within(sweep.out, "model")), "model")
    if nested:
        record.log_metrics({"nested_error_px": nested.error_px})
        record.log(tags={f"synthmark.nested.{fold}": chosen.name for fold, chosen in enumerate(nested.by_fold)})
    return chosen


def write_model(sweep: Sweep, recipe: Recipe, cases: Cases, chosen: ChosenSchedule, result: TrialResult) -> None:
    """Write OUT/model: the network refitted on every case by the chosen schedule, its radii from `result`."""
    schedule, pretrained = chosen.schedule, load_model(sweep.pretrained)
    with progress(schedule.epochs, "epoch", f"refitting {schedule.name} on {len(cases)} cases") as bar:
        refitted = refit(pretrained, cases, sweep.trials[schedule.name], on_epoch=lambda _: bar.update() and None)
    whole = as_dict(replace(recipe, sweep=replace(recipe.sweep, schedules=(schedule,), search=None)))
    card = save_refitted(within(sweep.out, "model"), refitted, cases, result, pretrained.card.digest, whole)
    if card.conformal.reason:
        print(f"no 90 % radii: {card.conformal.reason}", flush=True)


def print_table(results: dict[str, TrialResult], chosen: ChosenSchedule, nested: NestedResult | None) -> None:
    """Print the schedules with their error on unseen subjects: mean and standard deviation over folds."""
    width = max(len(name) for name in results)
    print(f"{'schedule'.ljust(width)}  error in patch px, mean ± standard deviation over {chosen.num_folds} folds")
    for name, result in results.items():
        mark = "  <- chosen" if name == chosen.schedule.name else ""
        print(f"{name.ljust(width)}  {result.error_px:.3f} ± {result.error_px_sd:.3f}{mark}", flush=True)
    if nested is not None:
        counts = {name: sum(schedule.name == name for schedule in nested.by_fold) for name in results}
        by_fold = ", ".join(f"{name} {count} x" for name, count in counts.items() if count)
        print(f"plain (the schedule chosen by these errors): {chosen.error_px:.3f} px")
        print(f"nested (chosen on inner folds, {by_fold}): {nested.error_px:.3f} ± {nested.folds.error_px_sd:.3f} px")


if __name__ == "__main__":
    run(main)
