"""The examples for clusters are what their tools read; nothing of them is run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3plan.model.runners import SCHEDULER

_CLUSTER = Path(__file__).parents[2] / "examples" / "cluster"


def _documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_CLUSTER / "kubernetes.yaml").read_text()))


def _pods() -> dict[str, dict[str, Any]]:
    return {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for document in _documents()
        if "template" in document["spec"]
    }


def test_every_part_on_kubernetes_is_of_a_known_kind_and_finds_the_others() -> None:
    """Issue 11, Show: a cold-start example for Kubernetes, linted."""
    kinds = {(found["apiVersion"], found["kind"]) for found in _documents()}
    assert kinds == {
        ("v1", "Service"),
        ("v1", "PersistentVolumeClaim"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "Job"),
    }
    for document in _documents():
        selected = document["spec"].get("selector", {}).get("matchLabels")
        if selected is not None:
            assert document["spec"]["template"]["metadata"]["labels"] == selected
    pods = _pods()
    assert set(pods) == {"scheduler", "worker", "apply"}
    for name, pod in pods.items():
        (container,) = pod["containers"]
        assert container["resources"]["limits"]["memory"], name
        mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in pod.get("volumes", ())}
    assert len({pod["containers"][0]["image"] for pod in pods.values()}) == 1


def test_the_run_and_the_workers_name_the_service_of_the_scheduler() -> None:
    text = (_CLUSTER / "kubernetes.yaml").read_text()
    addresses = set(re.findall(r"tcp://[a-z]+:\d+", text))
    assert addresses == {"tcp://scheduler:8786"}
    assert all(re.fullmatch(SCHEDULER, address) for address in addresses)
    workers = next(found for found in _documents() if found["metadata"]["name"] == "worker")
    assert f"workers: {workers['spec']['replicas']}" in text


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_the_script_for_slurm_is_a_script_whose_tasks_add_up() -> None:
    script = _CLUSTER / "s3plan.sbatch"
    subprocess.run(["sh", "-n", str(script)], check=True)
    text = script.read_text()
    tasks = int(re.findall(r"^#SBATCH --ntasks=(\d+)$", text, re.MULTILINE)[0])
    assert f"workers: {tasks - 1}" in text
