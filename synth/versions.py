"""What rendered a shard: on one set of versions a sample has the same bits, on another it may differ."""

import hashlib
from dataclasses import fields
from importlib import metadata

import numpy as np

from synth.template import Template

PACKAGES = ("synthmark", "bpy", "numpy")


def rendering_versions(template: Template) -> dict[str, str]:
    """Package → installed version ("unknown" where it is not installed); template → first digits of its digest."""
    return {**{package: _version(package) for package in PACKAGES}, "template": _digest(template)}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _digest(template: Template) -> str:
    """16 hex digits that name the template's every array and name."""
    digest = hashlib.sha256()
    for field in fields(template):
        digest.update(np.ascontiguousarray(getattr(template, field.name)).tobytes())
    return digest.hexdigest()[:16]
