"""What every verb's command line shares: help with examples, recipes with --set, progress, one-line errors."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from pydantic import TypeAdapter
from tqdm import tqdm

from pipelines.recipes import RECIPES, Recipe
from synth.domain.storage import has_files


class UsageError(Exception):
    """The command line cannot be meant: exit 2."""


def parser(doc: str, *, recipe: bool = True) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring; with `recipe`, it takes RECIPE and --set a.b=value."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if recipe:
        made.add_argument("recipe", metavar="RECIPE", help=f"one of {', '.join(RECIPES)}")
        made.add_argument(
            "--set", dest="overrides", metavar="A.B=VALUE", action="append", default=[],
            help="change one field of the recipe; may be repeated",
        )  # fmt: skip
    return made


def positive(text: str) -> int:
    """argparse type: an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not allowed; give at least 1")
    return value


def resolve(name: str, overrides: Sequence[str]) -> Recipe:
    """The recipe of that name with its overrides applied and every field validated.

    Raises: UsageError for an unknown recipe, an unknown field or a value that does not fit.
    """
    if name not in RECIPES:
        raise UsageError(f"recipe {name!r} does not exist; choose one of {', '.join(RECIPES)}")
    adapter = TypeAdapter(Recipe)
    resolved = adapter.dump_python(RECIPES[name](), mode="json")
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals:
            raise UsageError(f"--set {override!r} has no '='; write --set a.b=value")
        _assign(resolved, path, text)
    try:
        return adapter.validate_python(resolved)
    except ValueError as error:
        # pydantic's errors() gives a structured first error; a plain ValueError its own text
        details: list[dict[str, Any]] = getattr(error, "errors", list)()
        reason = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details) or str(error)
        raise UsageError(f"recipe {name} does not allow that: {reason}") from error


def as_dict(value: Any) -> dict[str, Any]:
    """A (nested) dataclass as plain JSON types, for manifests, checkpoints and MLflow."""
    dumped = TypeAdapter(type(value)).dump_python(value, mode="json")
    assert isinstance(dumped, dict)
    return dumped


def show_recipe(recipe: Any) -> None:
    """Print the resolved recipe (any dataclass) as JSON, so that a log says what was run."""
    print(json.dumps(as_dict(recipe), indent=1), flush=True)


def require_empty(out: str) -> None:
    """Raise ValueError where `out` already holds something: nothing is ever overwritten."""
    if has_files(out):
        raise ValueError(f"output {out} already holds files; choose another --out or remove it")


def progress(total: int, unit: str, label: str) -> "tqdm[NoReturn]":
    """A progress line with rate and time left: redrawn on a terminal, a line now and then in a log."""
    interval = 0.5 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, unit=unit, desc=label, mininterval=interval, dynamic_ncols=True)


def run(main: Callable[[Sequence[str]], str]) -> NoReturn:
    """Run a verb. Exit 0 and its result as last line; 1 with one line for what a user can mend; 2 for wrong usage."""
    os.umask(0o077)  # outputs may hold patient data
    try:
        result = main(sys.argv[1:])
    except UsageError as error:
        _fail(str(error), 2)
    except (ValueError, OSError) as error:
        if os.environ.get("SYNTHMARK_TRACEBACK"):
            raise
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted; run the same command again to resume", 130)
    print(result, flush=True)
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    line = "".join(
        c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split())
    )  # file names hold anything
    print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(code)


def _assign(resolved: dict[str, Any], path: str, text: str) -> None:
    *parents, leaf = path.split(".")
    node: Any = resolved
    for key in parents:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict) or leaf not in node:
        known = ", ".join(node) if isinstance(node, dict) else "nothing"
        raise UsageError(f"the recipe has no field {path!r}; there is {known}")
    try:
        node[leaf] = json.loads(text)
    except json.JSONDecodeError:
        node[leaf] = text


def quiet_ray_data() -> None:
    """None; Ray Data says nothing of its own while it works: our progress line has rate and time left."""
    import ray

    ray.data.DataContext.get_current().enable_progress_bars = False
    for handler in logging.getLogger("ray.data").handlers:
        if handler.name == "console":  # Ray 2.60: half a page for every run; its log file keeps all of it
            handler.setLevel(logging.ERROR)


def start_ray(workers: int) -> None:
    """Connect to the cluster this runs on, or start a local Ray with `workers` CPUs and one more for its own tasks."""
    import ray

    if ray.is_initialized():
        return
    logging_level = "ERROR"
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging_level, log_to_driver=False)
    else:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # else a stream's readers are ended between two windows, and started again: a second of a core each time
        os.environ.setdefault("RAY_idle_worker_killing_time_threshold_ms", "600000")
        ray.init(
            "local", num_cpus=workers + 1, include_dashboard=False, logging_level=logging_level, log_to_driver=False
        )
