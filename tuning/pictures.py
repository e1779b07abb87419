"""The figures of a report in their order, each with what it shows."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from synth.domain.schema import Samples
from tuning.cases import Cases
from tuning.diagrams import bar_figure, by_case_figure, case_means, cumulative_figure, worst_first
from tuning.figures import case_figure, common_figure, domain_figure
from tuning.table import UNIT_NAMES, Method, Unit, describe, main_unit, mean_errors
from tuning.worth import Worth, worth_figure

MOST_PICTURES = 60  # of cases in one report; the worst are always among them
NUM_WORST = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A figure. name: of its file, unique in a report; title, caption: for people; data: its bytes in `form`."""

    name: str
    title: str
    caption: str
    data: bytes
    form: Literal["svg", "png"] = "svg"

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.{self.form}"

    @property
    def source(self) -> str:
        """Its bytes as an address that loads nothing."""
        kind = "image/svg+xml" if self.form == "svg" else "image/png"
        return f"data:{kind};base64,{base64.b64encode(self.data).decode()}"


def worth_picture(curves: Sequence[Worth]) -> Picture:
    """The error against the number of annotated subjects, in mm where they are known."""
    unit: Unit = "mm" if "mm" in curves[0].errors else "px"
    return Picture(
        name="worth",
        title="What pre-training is worth",
        caption="Mean error after training on so many annotated subjects of each fold, on the same test cases; the "
        "band spans the draws of those subjects. Numbers: worth.csv.",
        data=worth_figure(curves, unit),
    )


def pictures_of(cases: Cases, methods: Sequence[Method], synthetic: Samples) -> list[Picture]:
    """Bars, curves, the common image, errors by case, the worst and all cases, both domains."""
    unit = main_unit(cases)
    leading = by_mean(cases, methods)[0]
    rivals = [m for m in methods if m.name in ("CNN(study)", "RF") and m.network in ("", leading.network)]
    return [
        Picture(
            name="ladder",
            title="Errors by landmark",
            caption="Bars: mean error over cases; whiskers: one standard deviation. After the paper's Figures 2 and 4.",
            data=bar_figure(cases, methods, unit),
        ),
        Picture(
            name="shares",
            title="Share of landmarks within a distance",
            caption="Steeper and further left is better; dotted lines: the distances of the table of success rates.",
            data=cumulative_figure(cases, methods, unit),
        ),
        _common_picture(cases, methods),
        Picture(
            name="by_case",
            title="Errors by case",
            caption=f"Mean over a case's landmarks; cases sorted by {leading.label}, the worst of which are named.",
            data=by_case_figure(cases, [leading, *(m for m in rivals if m is not leading)], unit),
        ),
        *case_pictures(cases, methods),
        Picture(
            name="domains",
            title="Both domains side by side",
            caption="Above: renderings the networks were trained on; below: silhouettes of the study. Circles are the "
            "annotated landmarks. What looks different here is what fine-tuning has to make up for. After the "
            "paper's Figure 1.",
            data=domain_figure(synthetic, cases),
            form="png",
        ),
    ]


def _common_picture(cases: Cases, methods: Sequence[Method]) -> Picture:
    unit = main_unit(cases)
    seed = " Of several seeds, the first." if any(method.repeats for method in methods) else ""
    return Picture(
        name="common",
        title="All landmarks in one common image",
        caption="Every prediction of every case, moved to where the study's mean shape (+) has the landmark: a cloud "
        "shows what a method misses by, and whether it errs to one side. Above each: mean error in "
        f"{UNIT_NAMES[unit]}.{seed} After the paper's Figure 3.",
        data=common_figure(cases, methods, unit),
        form="png",
    )


def case_pictures(cases: Cases, methods: Sequence[Method]) -> list[Picture]:
    """The worst cases of every fine-tuned network (of the best method without one), then all cases of the best."""
    leaders = by_mean(cases, methods)
    pictures = []
    for number, method in enumerate(leaders, 1):
        worst = _worst(cases, method)[:NUM_WORST]
        pictures.append(
            _picture(cases, method, worst, f"worst_{number}", f"The {len(worst)} worst cases of {method.label}")
        )
    best = leaders[0]
    if len(cases) <= MOST_PICTURES:
        shown, title = list(range(len(cases))), f"All cases, {best.label}"
    else:
        shown = _worst(cases, best)[:MOST_PICTURES]
        title = f"{MOST_PICTURES} of {len(cases)} cases, worst first, {best.label}"
    return [*pictures, _picture(cases, best, shown, "cases", title)]


def by_mean(cases: Cases, methods: Sequence[Method]) -> list[Method]:
    """Every CNN(ft), or where there is none the best method alone, the smallest mean error first."""
    unit = main_unit(cases)
    ranked = sorted(methods, key=lambda method: describe(mean_errors(cases, method, unit))["mean"])
    return [method for method in ranked if method.name == "CNN(ft)"] or ranked[:1]


def _picture(cases: Cases, method: Method, shown: Sequence[int], name: str, title: str) -> Picture:
    unit = main_unit(cases)
    above = f"above: mean error in {UNIT_NAMES[unit]}"
    caption = f"Circles: annotated; crosses: {method.label}, trained on other subjects; {above}."
    return Picture(
        name=name, title=title, caption=caption, data=case_figure(cases, method.points, shown, unit), form="png"
    )


def _worst(cases: Cases, method: Method) -> list[int]:
    return worst_first(case_means(mean_errors(cases, method, main_unit(cases))))
