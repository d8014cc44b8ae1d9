"""The exit drill: random deaths of a venue of two hundred, and everybody is paid to the atom.

NOVATE_DRILL_KILLS, NOVATE_DRILL_ACCOUNTS and NOVATE_DRILL_SEED set another size (`make drill`). A history has
ninety places to die at; more kills take more histories.
"""

import os
from collections import Counter

from tests.apps.exit_drill import BATCHES, STAGES, Report, run_drill

KILLS = int(os.environ.get("NOVATE_DRILL_KILLS", "20"))
ACCOUNTS = int(os.environ.get("NOVATE_DRILL_ACCOUNTS", "200"))
SEED = int(os.environ.get("NOVATE_DRILL_SEED", "5"))
PLACES = BATCHES * len(STAGES)


def test_everybody_leaves_a_dead_venue() -> None:
    """[SETTLE-41] to [SETTLE-52]: with every key of the venue gone, from L1 and the published bytes alone.

    The drill asserts every payment; here the histories must have had every kind of account in them.
    """
    reports: list[Report] = []
    for history in range(-(-KILLS // PLACES)):
        reports += run_drill(SEED + history, ACCOUNTS, min(KILLS - len(reports), PLACES))
    assert KILLS == len(reports)
    kinds = sum((report.kinds for report in reports), Counter[str]())
    wanted = {"flat", "long", "short", "liquidatable", "bankrupt", "deposit pending", "withdrawal pending"}
    assert set() == wanted - set(kinds)
    assert any(report.last_word == 0 for report in reports), "A venue without a final batch died as well."
    assert KILLS < 20 or any(report.is_short for report in reports), "Some estate was too small."
