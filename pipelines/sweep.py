#!/usr/bin/env python3
"""Try every fine-tuning schedule of a recipe on a study, choose one, and refit it on all cases.

  python pipelines/sweep.py hand --study /data/study --pretrained /data/hand_model/model --out /data/sweep

Folds are split by subject inside each trial. Run the same command again and only what is missing is run; a schedule
that failed is reported and tried again. OUT/schedule.json is the choice, OUT/model the network refitted on every case.
On 2 cores: 3 schedules of 40 epochs on 20 hands, 2 folds, in about a minute.
"""

import os
from collections.abc import Sequence
from dataclasses import replace

from pipelines.cli import as_dict, parser, positive, progress, resolve, run, show_recipe, start_ray
from pipelines.recipes import Recipe
from synth.domain.anatomy import anatomy_named
from synth.domain.storage import write_bytes
from training import tracking
from training.checkpoint import load_model, model_files, read_card
from training.job import absolute_uri
from training.mlflow_ui import compare_address, run_address, ui_command
from tuning.cases import Cases, read_cases
from tuning.record import open_sweep_run, record_choice, record_failure, record_trial
from tuning.refit import ChosenSchedule, as_json, choose, is_finished, refit, save_refitted
from tuning.sweep import Sweep, failures, finished_trials, open_sweep, run_missing, within
from tuning.trial import TrialResult


def main(argv: Sequence[str]) -> str:
    """Where the refitted model is, with the chosen schedule and its error on unseen subjects."""
    options = parser(__doc__ or "")
    options.add_argument("--study", required=True, help="folder or URI of a study")
    options.add_argument("--pretrained", required=True, help="model folder or URI, as pretrain.py makes it")
    options.add_argument("--out", required=True, help="folder or URI of trials, choice and model")
    options.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="trials at a time; default: cores"
    )
    options.add_argument("--experiment", default="sweep", help="MLflow experiment; default: sweep")
    arguments = options.parse_args(argv)
    recipe = resolve(arguments.recipe, arguments.overrides)
    sweep = Sweep(
        anatomy=recipe.anatomy,
        study=absolute_uri(arguments.study),
        pretrained=absolute_uri(arguments.pretrained),
        out=absolute_uri(arguments.out),
        recipe=recipe.sweep,
    )
    sweep_id = open_sweep(sweep)
    show_recipe(recipe)
    cases = read_cases(sweep.study, anatomy_named(sweep.anatomy), depth=True)
    record = open_sweep_run(
        tracking.open_experiment(arguments.experiment), sweep_id, sweep.out, f"{recipe.anatomy} sweep", as_dict(recipe)
    )
    with tracking.recorded(record):
        results = run_trials(sweep, cases, record, arguments.workers)
        chosen = finish(sweep, recipe, cases, results, record)
        runs = record_choice(record, cases, list(results.values()), chosen.schedule, within(sweep.out, "model"))
    print(f"MLflow: {ui_command()}")
    print(f"then the sweep: {run_address(record)}\nits schedules, side by side: {compare_address(runs)}")
    return f"{within(sweep.out, 'model')}: schedule {chosen.schedule.name}, {chosen.error_px:.2f} px on unseen subjects"


def run_trials(sweep: Sweep, cases: Cases, record: tracking.Run, workers: int) -> dict[str, TrialResult]:
    """Every result there is, after the missing trials were run; each is recorded as it ends."""

    def keep(name: str) -> None:
        found = finished_trials(sweep)
        if name in found:
            record_trial(record, cases, found[name])

    results = finished_trials(sweep)
    missing = [name for name in sweep.trials if name not in results]
    for result in results.values():  # an attempt may have been cut off between a trial's end and its record
        record_trial(record, cases, result)
    if missing:
        start_ray(min(workers, len(missing)))
        epochs = sum(sweep.trials[name].schedule.epochs for name in missing) * sweep.recipe.folds
        with progress(epochs, "epoch", f"{len(missing)} schedule(s), {sweep.recipe.folds} folds") as bar:
            run_missing(sweep, missing, workers, bar.update, keep)
    results = finished_trials(sweep)
    for failure in failures(sweep, results):
        print(f"schedule {failure.schedule} failed: {failure.reason}", flush=True)
        record_failure(record, sweep.trials[failure.schedule].schedule, failure.reason)
    if not results:
        raise ValueError(f"every schedule failed; the first: {failures(sweep, results)[0].reason}")
    return results


def finish(
    sweep: Sweep, recipe: Recipe, cases: Cases, results: dict[str, TrialResult], record: tracking.Run
) -> ChosenSchedule:
    """The choice, after it was written to schedule.json and its network, refitted on every case, to OUT/model."""
    best = choose(list(results.values()))
    card = read_card(sweep.pretrained)
    chosen = ChosenSchedule(
        schedule=best.schedule,
        anatomy=sweep.anatomy,
        network=card.model.network,
        study_digest=cases.digest,
        num_schedules=len(results),
        num_folds=sweep.recipe.folds,
        seed=sweep.recipe.seed,
        error_px=best.error_px,
        failed=tuple(failure.schedule for failure in failures(sweep, results)),
    )
    print_table(results, chosen)
    model_uri = within(sweep.out, "model")
    if not is_finished(within(sweep.out, "schedule.json"), chosen):
        with progress(best.schedule.epochs, "epoch", f"refitting {best.schedule.name} on {len(cases)} cases") as bar:
            trial = sweep.trials[best.schedule.name]
            refitted = refit(load_model(sweep.pretrained), cases, trial, on_epoch=lambda _: bar.update() and None)
        whole = as_dict(replace(recipe, sweep=replace(recipe.sweep, schedules=(best.schedule,))))
        card = save_refitted(model_uri, refitted, cases, best, card.digest, whole)
        if card.conformal.reason:
            print(f"no 90 % radii: {card.conformal.reason}", flush=True)
        write_bytes(sweep.out, "schedule.json", as_json(chosen))
    record.log_files(model_files(model_uri), "model")
    return chosen


def print_table(results: dict[str, TrialResult], chosen: ChosenSchedule) -> None:
    """Print the schedules with their error on unseen subjects: mean and standard deviation over folds."""
    width = max(len(name) for name in results)
    print(f"{'schedule'.ljust(width)}  error in patch px, mean ± standard deviation over {chosen.num_folds} folds")
    for name, result in results.items():
        mark = "  <- chosen" if name == chosen.schedule.name else ""
        print(f"{name.ljust(width)}  {result.error_px:.3f} ± {result.error_px_sd:.3f}{mark}", flush=True)


if __name__ == "__main__":
    run(main)
