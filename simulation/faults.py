"""What goes wrong in one seed: a random subset of all faults, so that rare combinations get their depth."""

import random
from typing import NamedTuple

LIVES_MAX = 5
DISK_CALLS_MAX = 900
SYNCS_MAX = 120
ENDS_BY_DISK = ("kill", "power", "EIO", "ENOSPC", "short")


class Faults(NamedTuple):
    """Which faults a seed knows."""

    power: bool
    disk: bool
    slow_disk: bool
    reorganisations: bool
    outages: bool
    liar: bool
    clock: bool
    storms: bool


class End(NamedTuple):
    """How one life ends: at a time, or at a call of the disk counted from the life's start; `call` says which
    calls count, all of them if it is empty.
    """

    seconds: float
    disk_calls: int
    fault: str
    call: str = ""


def choose_faults(chance: random.Random) -> Faults:
    """Switch each fault on or off for a whole seed."""
    return Faults(*(chance.random() < 0.6 for _ in Faults._fields))


def choose_ends(chance: random.Random, faults: Faults) -> list[End]:
    """Choose how each life but the last one ends."""
    ends: list[End] = []
    for _ in range(chance.randrange(1, LIVES_MAX)):
        if ends and ends[-1].call and faults.power and chance.random() < 0.7:
            # What a killed process wrote and never synced is read by the next one: the power fails then.
            ends.append(End(8.0, chance.randrange(1, 24), "power"))
        else:
            ends.append(choose_end(chance, faults))
    return ends


def choose_end(chance: random.Random, faults: Faults) -> End:
    """One end; some of those that the disk decides fall into recovery, some between a write and its sync."""
    seconds = chance.uniform(0.5, 7.0)
    sudden = "power" if faults.power and chance.random() < 0.6 else "kill"
    choice = chance.random()
    if choice < 0.35:
        return End(seconds, 0, sudden)
    if choice < 0.55:
        return End(8.0, int(SYNCS_MAX ** chance.uniform(0.4, 1)), "kill", "fdatasync")
    fault = chance.choice(ENDS_BY_DISK) if faults.disk else sudden
    if fault == "power" and not faults.power:
        fault = "kill"
    calls = (
        chance.randrange(1, 30) if chance.random() < 0.3 else int(DISK_CALLS_MAX ** chance.uniform(0.4, 1))
    )
    return End(8.0, calls, fault)
