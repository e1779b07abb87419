"""Which methods of a ladder are compared: one primary comparison, the rest in families that Holm corrects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tuning.cases import Cases
from tuning.compare import Comparison, compare, holm
from tuning.table import Method, main_unit, mean_errors, plain


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Method a against method b. landmark: "" for a subject's mean over all of them.

    p: of the result, adjusted within its family; the result's own where it is alone; None where nothing is tested
    """

    a: Method
    b: Method
    result: Comparison
    landmark: str = ""
    p: float | None


@dataclass(frozen=True, kw_only=True)
class Family:
    """Contrasts that answer one question together, none of them the primary one."""

    title: str
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """All comparisons of a ladder: the primary one, None where it was not measured, and the secondary ones."""

    primary: Contrast | None
    families: tuple[Family, ...]


def compare_methods(cases: Cases, methods: Sequence[Method]) -> Comparisons:
    """Every comparison a report makes of the methods, all on the same cases."""
    primary = _primary(cases, methods)
    return Comparisons(primary=primary, families=tuple(_families(cases, methods, primary)))


def _primary(cases: Cases, methods: Sequence[Method]) -> Contrast | None:
    """CNN(ft) against CNN(study) of the first network that has both; None where none has.

    The first, so that which one it is does not depend on what it shows.
    """
    for tuned in _named(methods, "CNN(ft)"):
        for study in _named(methods, "CNN(study)"):
            if study.network == tuned.network:
                return _contrast(cases, tuned, study)
    return None


def _families(cases: Cases, methods: Sequence[Method], primary: Contrast | None) -> list[Family]:
    """Every CNN(ft) against all other methods; the primary comparison and CNN(ft) against RF by landmark."""
    done = None if primary is None else (primary.a, primary.b)
    against = [
        contrast
        for i, tuned in enumerate(_named(methods, "CNN(ft)"))
        for rival in [*(m for m in methods if m.network in ("", tuned.network)), *_named(methods, "CNN(ft)")[:i]]
        if rival is not tuned and (tuned, rival) != done and (contrast := _contrast(cases, tuned, rival))
    ]
    families = [_family("CNN(ft) against every other method, mean over landmarks", against)]
    pairs = [] if primary is None else [("CNN(study)", primary.b), *(("RF", m) for m in _forests(methods, primary)[:1])]
    for name, rival in pairs:
        assert primary is not None
        found = (_contrast(cases, primary.a, rival, landmark) for landmark in cases.anatomy.names)
        title = f"{primary.a.label} against {name} at each landmark"
        families.append(_family(title, [contrast for contrast in found if contrast]))
    return [family for family in families if family.contrasts]


def contrast_dict(contrast: Contrast) -> dict[str, Any]:
    """A contrast as JSON types."""
    result = contrast.result
    return {
        "a": contrast.a.label,
        "b": contrast.b.label,
        "landmark": contrast.landmark or "mean",
        "subjects": result.num_subjects,
        "better": result.better,
        **plain({"mean_a": result.a, "mean_b": result.b, "difference": result.difference, "ratio": result.ratio}),
        "interval": result.interval,
        "ratio_interval": result.ratio_interval,
        "p": result.p,
        "p_holm": contrast.p,
    }


def _forests(methods: Sequence[Method], primary: Contrast) -> list[Method]:
    """The forests beside the primary network: one that reads what it reads, then one of the silhouette alone."""
    found = [forest for forest in _named(methods, "RF") if forest.network in ("", primary.a.network)]
    return sorted(found, key=lambda forest: forest.network == "")


def _named(methods: Sequence[Method], name: str) -> list[Method]:
    return [method for method in methods if method.name == name]


def _contrast(cases: Cases, a: Method, b: Method, landmark: str = "") -> Contrast | None:
    """None where no landmark has both errors."""
    unit = main_unit(cases)
    ours, theirs = mean_errors(cases, a, unit), mean_errors(cases, b, unit)
    if landmark:
        k = cases.anatomy.names.index(landmark)
        ours, theirs = ours[:, [k]], theirs[:, [k]]
    if not (np.isfinite(ours) & np.isfinite(theirs)).any():
        return None
    result = compare(ours, theirs, cases.subjects)
    return Contrast(a=a, b=b, landmark=landmark, result=result, p=result.p)


def _family(title: str, contrasts: Sequence[Contrast]) -> Family:
    tested = [contrast.result.p for contrast in contrasts if contrast.result.p is not None]
    adjusted = iter(holm(tested))
    return Family(
        title=title,
        contrasts=tuple(c if c.result.p is None else replace(c, p=float(next(adjusted))) for c in contrasts),
    )
