"""Faults while sources are deleted after a soak, and while their copies are looked at."""

from __future__ import annotations

import pytest

from s3plan.errors import StoreError
from tests.engine.scene import Stored
from tests.faults import faults
from tests.faults.conftest import Between
from tests.faults.proxy import Rule
from tests.faults.test_deletions import DONE, NOT_DONE, deletion
from tests.soak.soaking import Soaking, sources


def _approved(between: Between) -> tuple[Soaking, dict[str, Stored], str]:
    soaking = Soaking(between.scene)
    soaking.fill()
    soaking.migrate()
    soaking.soak()
    assert soaking.apply().outcome == "held"
    copies = {key: one for key, one in between.scene.objects().items() if not key[0].isdigit()}
    return soaking, copies, between.scene.gate().evidence


@pytest.mark.long
@pytest.mark.parametrize("name", ["reset after"])
def test_a_deletion_whose_answer_was_lost_is_settled_by_looking(
    between: Between, name: str
) -> None:
    _, copies, evidence = _approved(between)
    between.proxy.play(deletion(DONE[name]))
    finished = between.scene.apply(delete=evidence)
    assert finished.exit_code == 0, (finished, between.scene.problems())
    assert len(between.proxy.played()) == 1
    assert between.scene.objects() == copies


@pytest.mark.parametrize("name", ["200 with AccessDenied"])
def test_a_deletion_that_did_not_happen_is_tried_again_by_the_same_command(
    between: Between, name: str
) -> None:
    _, copies, evidence = _approved(between)
    between.proxy.play(deletion(NOT_DONE[name], times=10))
    assert between.scene.apply(delete=evidence).exit_code == 3
    assert sources(between.scene.keys())
    between.proxy.heal()
    assert between.scene.apply(delete=evidence).exit_code == 0
    assert between.scene.objects() == copies


def test_a_check_that_cannot_list_is_no_check(between: Between) -> None:
    """Invariant 2: it is not recorded, so that the gate stays closed."""
    soaking, _, _ = _approved(between)
    between.proxy.play(Rule("fault", faults.refuse(403, "AccessDenied"), "GET", "", "list-type"))
    with pytest.raises(StoreError):
        soaking.check(full=True)
    between.proxy.heal()
    found = soaking.check(full=True)
    assert len(found.soak.checks) == 2
