"""Each planted bug in a contract is caught: an attack that the real one repels succeeds on the mutant."""

import pytest

from tests.contracts.planted_bugs import BUGS, CATALOGUE


def test_the_catalogue_is_covered() -> None:
    """Each attack of the catalogue has at least one twin that it beats."""
    assert set() == {twin for twins in CATALOGUE.values() for twin in twins} - set(BUGS)


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_is_caught(name: str) -> None:
    """The attack fails on the real contract and succeeds on the mutant, so its test sees the bug."""
    mutation, attack = BUGS[name]
    attack(None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        attack(mutation)
