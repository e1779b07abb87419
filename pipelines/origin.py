"""The command that made a dataset, found from its manifest alone."""

import json
import shlex
from typing import Any

from pipelines.recipes import RECIPES
from synth.domain.shards import Manifest


def command_of(uri: str, manifest: Manifest) -> str:
    """The command that makes the dataset `uri` again, as far as its manifest tells."""
    if manifest.kind == "study":
        return f"python pipelines/study.py {manifest.anatomy.name} --images … --landmarks … --out …"
    if manifest.source is not None:
        source = manifest.source["uri"]
        return f"python pipelines/relabel.py {source} --anatomy {manifest.anatomy.name} --out {uri}"
    how = f"--count {manifest.rows} --seed {manifest.seed} --out {uri}"
    if manifest.quarantine:
        how += f" --tolerance {len(manifest.quarantine)}"
    return f"python pipelines/render.py {preset_of(manifest.recipe)} {how}"


def preset_of(recipe: dict[str, Any]) -> str:
    """The preset that renders this recipe with the fewest --set, and those; of several the shortest name."""
    found = []
    for name, make in RECIPES.items():
        changed = _changes(make().render.as_dict(), recipe, "render")
        if changed is not None:
            options = [word for change in changed for word in ("--set", change)]
            found.append((len(changed), len(name), [name, *options]))
    if not found:
        return "RECIPE [--set …, as when it was made]"
    return shlex.join(min(found)[2])


def _changes(preset: dict[str, Any], recipe: dict[str, Any], path: str) -> list[str] | None:
    """PATH=VALUE of every field that differs; None where the fields themselves do, as in another version's recipe."""
    if preset.keys() != recipe.keys():
        return None
    made: list[str] = []
    for key, old in preset.items():
        new = recipe[key]
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _changes(old, new, f"{path}.{key}")
            if inner is None:
                return None
            made += inner
        elif isinstance(old, dict) or isinstance(new, dict):
            return None
        elif old != new:
            made.append(f"{path}.{key}={json.dumps(new, separators=(',', ':'))}")
    return made
