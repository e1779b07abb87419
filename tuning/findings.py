"""What a ladder shows, in sentences computed from its numbers: also where a method does not help."""

from collections.abc import Sequence

from tuning.cases import Cases
from tuning.compare import LEAST_SUBJECTS, Interval
from tuning.contrasts import Comparisons, Contrast, Family
from tuning.table import PUBLISHED, UNIT_NAMES, Method, describe, main_unit, pooled_errors

ALPHA = 0.05
TOLD_APART = {"CNN(syn)": "Fine-tuning", "CNN(study)": "Pre-training on renderings"}  # what CNN(ft) has beyond them


def headline(cases: Cases, comparisons: Comparisons) -> str:
    """The primary comparison in one sentence: the effect and its interval, then the test."""
    contrast = comparisons.primary
    if contrast is None:
        return "CNN(ft) and CNN(study) were not both measured, so there is no primary comparison."
    paper = PUBLISHED[cases.anatomy.base]
    result = contrast.result
    ratio = f", ratio {result.ratio:.2f}{_between(result.ratio_interval, '.2f')}"
    beside = f"The paper's ratio, on its own data, was {paper['CNN(ft)'] / paper['CNN(study)']:.2f}."
    return f"{_sentence(contrast, UNIT_NAMES[main_unit(cases)], ratio)} {beside}"


def findings(cases: Cases, methods: Sequence[Method], comparisons: Comparisons, num_schedules: int) -> list[str]:
    """Sentences about the ladder. num_schedules: how many the fine-tuning schedule was chosen from on this study."""
    unit = main_unit(cases)
    means = {method.label: describe(pooled_errors(cases, method, unit))["mean"] for method in methods}
    best = min(means, key=lambda label: means[label])
    sentences = [f"Smallest mean error: {best} with {means[best]:.2f} {UNIT_NAMES[unit]} over {len(cases)} cases."]
    for family in comparisons.families:
        if family.contrasts[0].landmark:
            sentences.append(_by_landmark(family))
        else:
            sentences += [_sentence(c, UNIT_NAMES[unit]) for c in family.contrasts if c.b.name in ("CNN(syn)", "RF")]
    sentences.append(_subjects(cases))
    if num_schedules > 1:
        sentences.append(
            f"The schedule was chosen from {num_schedules} by its error on these same cases, so the figures of CNN(ft) "
            "are a little too good; only cases that were not used for the choice would say by how much."
        )
    return sentences


def p_text(p: float | None) -> str:
    """`0.012`, `< 0.001`, or a dash where nothing was tested."""
    return "–" if p is None else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def signed(value: float) -> str:
    """`+1.23` or `−1.23`, with a true minus sign."""
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")  # + 0.0: no minus before a zero


def _between(interval: Interval | None, form: str) -> str:
    if interval is None:
        return ""
    low, high = (f"{value:{form}}".replace("-", "−") for value in interval)
    return f" (95 % interval {low} to {high})"


def _sentence(contrast: Contrast, unit: str, more: str = "") -> str:
    result, a, b = contrast.result, contrast.a, contrast.b
    network = f" ({a.network})" if a.network else ""
    p = "" if contrast.p is None else f", p {p_text(contrast.p)}" if contrast.p < 0.001 else f", p = {contrast.p:.3f}"
    return (
        f"{_verdict(contrast)} here{network}: {a.label} {result.a:.2f}, {b.label} {result.b:.2f} {unit}, "
        f"difference {signed(result.difference)}{_between(result.interval, '+.2f')}{more}; "
        f"better for {result.better} of {result.num_subjects} subjects{p}."
    )


def _verdict(contrast: Contrast) -> str:
    part = TOLD_APART.get(contrast.b.name)
    if contrast.p is not None and contrast.p > ALPHA:
        what = part or f"{contrast.a.name} instead of {contrast.b.name}"
        return f"{what} makes no difference that could be told from chance"
    helps = contrast.result.difference < 0
    if part is None:
        return f"{contrast.a.name} errs {'less' if helps else 'no less'} than {contrast.b.name}"
    return f"{part} {'helps' if helps else 'does not help'}"


def _by_landmark(family: Family) -> str:
    a, b = family.contrasts[0].a.label, family.contrasts[0].b.label
    worse = [c.landmark.replace("_", " ") for c in family.contrasts if not c.result.difference < 0]
    told = sum(c.p is not None and c.p <= ALPHA for c in family.contrasts)
    where = f"at every one of {len(family.contrasts)} landmarks"
    if worse:
        where = (
            f"at {len(family.contrasts) - len(worse)} of {len(family.contrasts)} landmarks, not at {', '.join(worse)}"
        )
    tested = "" if family.contrasts[0].p is None else f"; {told} of the differences can be told from chance"
    return f"{a} has the smaller error than {b} {where}{tested}."


def _subjects(cases: Cases) -> str:
    number = cases.num_subjects
    if number < LEAST_SUBJECTS:
        return (
            f"All of this comes from {number} subject{'s' * (number != 1)}: it is described, not tested (at least "
            f"{LEAST_SUBJECTS} are needed), and says little about other people."
        )
    return (
        "Negative differences: the first method is better. Intervals: studentised bootstrap over subjects, each for "
        "itself. p: two-sided sign-flip test of each subject's mean difference; all but the primary comparison are "
        "corrected within their family (Holm)."
    )
