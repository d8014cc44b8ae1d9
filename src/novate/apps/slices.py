"""Sizes of liquidation slices that an operator has chosen: read from DIR/slices.toml, signed at the start.

The law has one integer per underlying, which only the operator's key can change. [LIQ-9] Whoever may write
into the data directory may use that key too, so the file needs no signature of its own.
"""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from novate.access.operator_nonces import choose_operator_nonce
from novate.apps.listing import sign_for
from novate.apps.venue import Venue
from novate.apps.venue_config import SLICES_NAME, VenueError
from novate.protocol.command import make_command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.generated.constants import INDEX_ATOMS_MAX, NS_PER_DAY

SliceAtoms = Annotated[int, msgspec.Meta(ge=1, lt=INDEX_ATOMS_MAX)]


class SliceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What DIR/slices.toml holds: the notional of a slice, in atoms, by underlying."""

    slice_notional_atoms: dict[str, SliceAtoms]


def read_slices(folder: Path) -> dict[str, int]:
    """Return the slices that DIR/slices.toml asks for, none if there is no such file.

    Errors     VenueError naming the file, if it cannot be used.
    """
    path = folder / SLICES_NAME
    if not path.exists():
        return {}
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), SliceFile).slice_notional_atoms
    except (OSError, ValueError) as error:
        raise VenueError(f"{path}: {error}") from error


async def set_slices(venue: Venue, wanted: dict[str, int]) -> int:
    """Let the operator sign a SET_SLICE wherever the venue has another value; return how many it took.

    Errors     VenueError for an underlying that the venue does not have, or if the law refuses.
    """
    numbers = {underlying.name: number for number, underlying in enumerate(venue.genesis.underlyings)}
    unknown = sorted(set(wanted) - set(numbers))
    if unknown:
        raise VenueError(f"{SLICES_NAME} names {', '.join(unknown)}; the venue has {', '.join(numbers)}")
    count = 0
    for name, atoms in wanted.items():
        number = numbers[name]
        if int(venue.engine.world.markets[number]["slice_notional_atoms"]) == atoms:
            continue
        time_ns = venue.clock.time_ns()
        command = make_command(
            CommandKind.SET_SLICE,
            0,
            underlying=number,
            slice_notional_atoms=atoms,
            nonce=choose_operator_nonce(venue.engine, time_ns),
            expires_ns=time_ns + NS_PER_DAY,
        )
        outcome = await venue.sequencer.submit(sign_for(venue, command, venue.operator_key))
        if outcome.code != Code.OK:
            raise VenueError(f"a slice of {atoms} atoms of {name} was refused: {Code(outcome.code).name}")
        count += 1
    return count
