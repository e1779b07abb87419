"""What a ladder shows, in sentences computed from its numbers: also where a method does not help."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.metrics import Floats, summarise
from tuning.cases import Cases, Errors
from tuning.table import Method

LEAST_SUBJECTS = 6  # with fewer, even an unbroken row of wins has p > 0.05 two-sided
EXACT_SUBJECTS = 14  # up to here every pattern of signs is counted


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Method a against method b, by subject. difference: mean over subjects of a - b, negative where a is better.

    better: subjects for whom a is better; p: two-sided, None where there are too few subjects to test
    """

    difference: float
    better: int
    num_subjects: int
    p: float | None


def compare(a: Errors, b: Errors, subjects: Sequence[str]) -> Comparison:
    """The comparison of errors (N, K) of two methods on the same cases."""
    names = np.asarray(subjects, dtype=object)
    gap = a - b
    differences = []
    for name in sorted(set(subjects)):
        values = gap[names == name]
        if np.isfinite(values).any():
            differences.append(float(values[np.isfinite(values)].mean()))
    mean = np.array(differences)
    p = sign_flip_p(mean) if mean.size >= LEAST_SUBJECTS else None
    return Comparison(difference=float(mean.mean()), better=int((mean < 0).sum()), num_subjects=mean.size, p=p)


def sign_flip_p(differences: Floats) -> float:
    """Two-sided p of a zero mean: the share of sign patterns whose mean is at least as far from 0 as the one seen.

    Every pattern up to 14 differences, 10,000 seeded ones above (then the pattern seen counts as one of them).
    """
    values = np.asarray(differences, np.float64)
    if values.size <= EXACT_SUBJECTS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=values.size)))
    else:
        signs = np.random.default_rng([0, values.size]).choice([1.0, -1.0], (10_000, values.size))
        signs[0] = 1.0
    return float((np.abs(signs @ values) >= abs(values.sum()) - 1e-12).mean())


def findings(cases: Cases, methods: Sequence[Method], num_schedules: int) -> list[str]:
    """Sentences about the ladder. num_schedules: how many the fine-tuning schedule was chosen from on this study."""
    means = {method.label: summarise(cases.errors_px(method.points)).overall_mean for method in methods}
    best = min(means, key=lambda label: means[label])
    sentences = [f"Smallest mean error: {best} with {means[best]:.2f} patch px over {len(cases)} cases."]
    found = {(method.name, method.network): method for method in methods}
    for network in dict.fromkeys(method.network for method in methods if method.network):
        tuned = found[("CNN(ft)", network)]
        for rival in ("CNN(syn)", "CNN(study)"):
            sentences.append(_sentence(cases, tuned, found[(rival, network)]))
        nearest = min(("NN(syn)", "NN(study)"), key=lambda name: means[name])
        sentences.append(_sentence(cases, tuned, found[(nearest, "")]))
    sentences.append(_subjects(cases))
    if num_schedules > 1:
        sentences.append(
            f"The schedule was chosen from {num_schedules} by its error on these same cases, so the figures of CNN(ft) "
            "are a little too good; only cases that were not used for the choice would say by how much."
        )
    return sentences


def _subjects(cases: Cases) -> str:
    number = cases.num_subjects
    if number <= 2:
        return (
            f"All of this comes from {number} subject{'s' * (number != 1)}: it is described, not tested, and says "
            "little about other people."
        )
    if number < LEAST_SUBJECTS:
        return f"{number} subjects are too few to test a difference; at least {LEAST_SUBJECTS} are needed."
    return "p: two-sided sign-flip test on the mean difference of each subject, uncorrected for several comparisons."


def _sentence(cases: Cases, tuned: Method, rival: Method) -> str:
    result = compare(cases.errors_px(tuned.points), cases.errors_px(rival.points), cases.subjects)
    ours = summarise(cases.errors_px(tuned.points)).overall_mean
    theirs = summarise(cases.errors_px(rival.points)).overall_mean
    change = abs(theirs - ours) / theirs if theirs > 0 else 0.0
    verdict = "helps" if result.difference < 0 else "does not help"
    if result.p is not None and result.p > 0.05:
        verdict = "makes no difference that could be told from chance"
    what = "Fine-tuning" if rival.name == "CNN(syn)" else f"{tuned.name} over {rival.name}"
    if rival.name == "CNN(study)":
        what = "Pre-training on renderings"
    tested = "" if result.p is None else f", p = {result.p:.3f}" if result.p >= 0.001 else ", p < 0.001"
    return (
        f"{what} {verdict} here ({tuned.network}): {tuned.label} {ours:.2f} px, {rival.label} {theirs:.2f} px, "
        f"{change:.0%} {'less' if ours < theirs else 'more'}; better for {result.better} of {result.num_subjects} "
        f"subjects{tested}."
    )
