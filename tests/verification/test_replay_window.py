"""The last half hour of a series, and its expiry, as replayer and naive model read them."""

import json
import random

import pytest

from novate.protocol.command import Command
from novate.protocol.generated.codes import InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import NO_MARK_ATOMS
from novate.protocol.generated.records import COMMAND_FIELDS
from tests.model.model import Model
from tests.verification.model_leaves import compare_leaves
from tests.verification.replay_desk import MAKER, SPOT_ATOMS, STRANGER, TAKER, Desk
from tests.verification.small_genesis import SECOND, START_S

CALL, PUT, PERPETUAL, FUTURE, _ = InstrumentKind
HOUR_NS = START_S * SECOND + 3_600 * SECOND
SIGNERS = (MAKER, TAKER, STRANGER)


class Pair(Desk):
    """A desk whose commands go to the model as well; both must come to the same leaves."""

    def __init__(self) -> None:
        super().__init__(confidence_threshold_e6=0)
        self.model = Model(json.loads(self.genesis.raw))
        self.replayer_apply = self.replayer.apply
        self.replayer.apply = self.apply_both  # type: ignore[method-assign]

    def apply_both(self, command: Command) -> object:
        """Apply a command twice and compare everything."""
        outcome = self.replayer_apply(command)
        fields = dict(zip(COMMAND_FIELDS[command.kind], command.values, strict=True))
        head = {"kind": command.kind.name, "sequence": self.state.sequence, "time_ns": command.time_ns}
        items = [list(item) for item in command.items]
        events = self.model.apply({**head, "signer": "0x" + command.signer.hex(), "items": items, **fields})
        assert (events[0]["code"], events[0]["order_id"]) == (outcome.code, outcome.order_id)
        compare_leaves(self.model, self.state)
        for expected, found in zip(self.model.instruments, self.state.instruments, strict=True):
            if found.mark_atoms != NO_MARK_ATOMS:
                assert (expected.rows, tuple(expected.basis)) == (found.row.tolist(), found.basis)
                figures = (expected.delta_atoms, expected.vega_atoms, expected.taker_fee_atoms)
                assert figures == (found.delta_atoms, found.vega_atoms, found.taker_fee_atoms)
        return outcome


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_last_half_hour_is_read_alike(seed: int) -> None:
    """[MARK-5] [FUT-2] [FUT-3] [GREEK-1] [FUND-2]: marks, fills, protected quotes and payoffs to the end."""
    chance, desk = random.Random(seed), Pair()
    desk.open()
    for kind, strike in ((CALL, SPOT_ATOMS), (PUT, SPOT_ATOMS), (FUTURE, 0)):
        desk.add(kind, strike, HOUR_NS)
    desk.add(PERPETUAL)
    desk.report()
    desk.draw(HOUR_NS, SPOT_ATOMS + chance.randrange(10**9))
    desk.tick()
    desk.protect(quantity_limit_lots=30, delta_limit_atoms=5 * 10**9, vega_limit_atoms=10**8, window_ns=10**6)
    desk.time_ns = HOUR_NS - 1_810 * SECOND
    while desk.time_ns < HOUR_NS:
        desk.report(SPOT_ATOMS + chance.randrange(-(10**9), 10**9), chance.randrange(10**6))
        desk.tick()
        act(desk, chance)
        desk.time_ns += chance.randrange(5 * SECOND, 90 * SECOND)
    desk.tick()
    assert [1, 1, 1, 0] == [instrument.state for instrument in desk.state.instruments]
    desk.seal()


def act(desk: Pair, chance: random.Random) -> None:
    """Quotes around the marks, and somebody who takes."""
    marks = [instrument.mark_atoms // instrument.tick_atoms for instrument in desk.state.instruments]
    items = [(n, max(1, marks[n] - 3), 9, marks[n] + 3, 9) for n in (0, 1)]
    if desk.time_ns >= desk.account(MAKER).groups[1].frozen_until_ns:
        desk.quote(*items)
    desk.place(STRANGER, 3, chance.choice(list(Side)), 100, marks[3] + chance.randrange(-200, 200))
    for number in (0, 1, 2):
        side, signer = chance.choice(list(Side)), chance.choice((TAKER, STRANGER))
        price = max(1, marks[number] + chance.randrange(-5, 6))
        terms = {"time_in_force": chance.choice((TimeInForce.GTC, TimeInForce.IOC))}
        desk.place(signer, number, side, chance.randrange(1, 12), price, **terms)
