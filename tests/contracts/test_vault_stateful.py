"""Any sequence of deposits, batches, claims, pauses and bad tokens leaves the vault with what it owes."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contracts.custody_machine import CustodyMachine

# Two levels, so the suite makes at least 200,000 calls.
LEVELS = ("gas", "none")
CALLS_PER_LEVEL = 100_000


@pytest.mark.parametrize("level", LEVELS)
def test_custody_holds(level: str) -> None:
    """Balance covers claims, nothing is paid twice or beyond its leaf, and nothing is blocked for ever."""
    machine = type(f"CustodyMachine_{level}", (CustodyMachine,), {"level": level})
    bounds = settings(
        max_examples=320,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
    assert CALLS_PER_LEVEL <= machine.calls
