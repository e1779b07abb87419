"""cluster.yaml and its kin are what Ray's launcher accepts, and keep the promises that docs/operations.md makes."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from pipelines.recipes import RECIPES
from synth.libraries import PACKAGES
from tests.commands import ROOT

FILES = ("cluster.yaml", "docs/cluster-own.yaml")


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_rays_own_schema_accepts_it(name):
    validate_config(prepare_config(copy.deepcopy(read(name))))


def test_rays_schema_refuses_a_misspelt_field():
    wrong = read("cluster.yaml") | {"idle_timeout_minuts": 5}
    with pytest.raises(Exception, match="idle_timeout_minuts"):
        validate_config(prepare_config(wrong))


def test_machines_are_there_only_while_they_work_and_the_head_does_none():
    config = read("cluster.yaml")
    kinds = config["available_node_types"]
    assert kinds[config["head_node_type"]]["resources"] == {"CPU": 0}
    workers = {name: kind for name, kind in kinds.items() if name != config["head_node_type"]}
    assert [kind["min_workers"] for kind in workers.values()] == [0, 0]
    assert "GPU" not in workers["render"]["resources"] and workers["train"]["resources"]["GPU"] == 1
    assert workers["render"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert sum(kind["max_workers"] for kind in workers.values()) <= config["max_workers"]


def test_nothing_but_ssh_is_open_and_the_token_is_asked_for_everywhere():
    config = read("cluster.yaml")
    rules = config["provider"]["security_group"]["IpPermissions"]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in rules] == [(22, 22)]
    assert all("0.0.0.0/0" not in str(rule) for rule in rules)
    for name in FILES:
        for key in ("head_start_ray_commands", "worker_start_ray_commands"):
            for command in read(name)[key]:
                assert "ray start" not in command or "RAY_AUTH_MODE=token" in command
                assert "0.0.0.0" not in command


def test_machines_get_the_versions_and_libraries_that_the_code_needs():
    config = read("cluster.yaml")
    lock = (ROOT / "requirements.lock").read_text()
    (version,) = re.findall(r"^ray==(.*)$", lock, re.MULTILINE)
    images = [config["docker"]["image"], config["available_node_types"]["train"]["docker"]["worker_image"]]
    assert all(image.startswith(f"rayproject/ray:{version}-py311") for image in images)
    assert set(PACKAGES.values()) <= set(config["setup_commands"][0].split())
    assert config["file_mounts"]["~/synthmark/requirements.lock"] == "requirements.lock"


def test_commands_of_the_document_name_verbs_recipes_and_files_that_exist():
    text = (ROOT / "docs" / "operations.md").read_text()
    commands = re.findall(r"python (pipelines/\w+\.py) (\S+)", text)
    assert len(commands) >= 4
    for script, recipe in commands:
        assert (ROOT / script).is_file()
        assert recipe in RECIPES or "://" in recipe, recipe
    for link in re.findall(r"\]\(([^):]+)\)", text):
        assert (Path(ROOT) / "docs" / link).exists()
