"""Schedules proposed by Optuna: the next batch from the errors of those before, the same from the same errors."""

from collections.abc import Mapping, Sequence

import numpy as np
import optuna

from tuning.schedule import Schedule, Search


def propose(search: Search, proposed: Sequence[Schedule], errors: Mapping[str, float]) -> tuple[Schedule, ...]:
    """The schedules that follow those proposed so far, at most search.at_a_time, none after search.num_trials.

    errors: schedule name -> error to be made small; those without have failed.
    The sampler (tree-structured Parzen estimator) is made anew for each batch and told everything in order, so that no
    state of it has to be kept: what it says depends on the search, the schedules and their errors alone.
    Source: Bergstra et al. 2011.
    """
    start = len(proposed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(np.random.SeedSequence([search.seed, start]).generate_state(1)[0])
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for schedule in proposed:
        study.add_trial(_told(search, schedule, errors.get(schedule.name)))
    count = min(search.at_a_time, search.num_trials - start)
    return tuple(_ask(search, study, f"trial-{start + i:03d}") for i in range(count))


def _ask(search: Search, study: optuna.Study, name: str) -> Schedule:
    draw = study.ask()
    optimiser = draw.suggest_categorical("optimiser", search.optimiser)
    momentum = draw.suggest_float("momentum", *search.momentum) if optimiser == "sgd" else Schedule.momentum
    epochs = draw.suggest_int("epochs", *search.epochs, log=True)
    return Schedule(
        name=name,
        epochs=epochs,
        batch=search.batch,
        optimiser=optimiser,
        rate=draw.suggest_float("rate", *search.rate, log=True),
        momentum=momentum,
        milestones=(max(1, round(epochs * draw.suggest_float("milestone", *search.milestone))),),
        factor=draw.suggest_float("factor", *search.factor, log=True),
        weight_decay=draw.suggest_float("weight_decay", *search.weight_decay, log=True),
        freeze=draw.suggest_categorical("freeze", search.freeze),
        augment=draw.suggest_float("augment", *search.augment),
    )


def _told(search: Search, schedule: Schedule, error: float | None) -> optuna.trial.FrozenTrial:
    """A schedule and its error as Optuna keeps them; without an error, a failed trial."""
    draws = optuna.distributions
    space: dict[str, optuna.distributions.BaseDistribution] = {
        "optimiser": draws.CategoricalDistribution(search.optimiser),
        "epochs": draws.IntDistribution(*search.epochs, log=True),
        "rate": draws.FloatDistribution(*search.rate, log=True),
        "milestone": draws.FloatDistribution(*search.milestone),
        "factor": draws.FloatDistribution(*search.factor, log=True),
        "weight_decay": draws.FloatDistribution(*search.weight_decay, log=True),
        "freeze": draws.CategoricalDistribution(search.freeze),
        "augment": draws.FloatDistribution(*search.augment),
    }
    if schedule.optimiser == "sgd":
        space["momentum"] = draws.FloatDistribution(*search.momentum)
    low, high = search.milestone
    share = min(max(schedule.milestones[0] / schedule.epochs, low), high)  # milestones are whole epochs
    values = {name: share if name == "milestone" else getattr(schedule, name) for name in space}
    state = optuna.trial.TrialState.COMPLETE if error is not None else optuna.trial.TrialState.FAIL
    return optuna.trial.create_trial(state=state, params=values, distributions=space, value=error)
