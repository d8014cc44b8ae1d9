"""The exit's value three times over: the contract's, the twin's from the law, and the engine's equity.

The model's random commands make the accounts: options, perpetuals with funding, futures, combos,
sub-accounts, liquidations, and series whose expiry has passed and which no TICK has settled.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from novate.execution.engine import Engine
from novate.execution.exposure import read_exposure
from novate.protocol.generated.codes import InstrumentKind, LiquidationStage
from novate.protocol.header import BatchHeader
from novate.verification.exit_books import Books
from novate.verification.exit_value import list_positions
from novate.verification.replay import Replayer
from novate.verification.tree import list_account_elements
from tests.contracts.escape_world import FORCED_DEADLINE_S, EscapeWorld
from tests.contracts.harness import DEPOSITOR, OPERATOR, Reverted
from tests.model.engine_bridge import make_engine, translate
from tests.model.generator import iter_world

PROFILES = ("main", "crash", "desk", "tiny")
COMMANDS = 2_400
EVERY = 60
SIDES = {f"{side} {kind}" for side in ("long", "short") for kind in ("CALL", "PUT", "PERPETUAL", "FUTURE")}
WANTED = {
    "main": SIDES | {"sub-account", "groups or keys", "funding accrued"},
    "crash": SIDES | {"sub-account", "in liquidation", "funding accrued"},
    "desk": SIDES - {"short FUTURE"} | {"expired and not settled", "in liquidation"},
    "tiny": {"groups or keys"},
}
EMPTY = bytes(32)


def live(profile: str, seed: int) -> Iterator[tuple[Engine, Replayer]]:
    """Engine and replayer after every sixty of the model's commands."""
    engine: Engine | None = None
    replayer: Replayer | None = None
    for count, (world, command, _) in enumerate(iter_world(seed, COMMANDS, profile), 1):
        if engine is None or replayer is None:
            engine = make_engine(world.model.genesis)
            replayer = Replayer(engine.genesis)
        made = translate(command)
        engine.apply([made])
        replayer.apply(made)
        if count % EVERY == 0:
            yield engine, replayer


class Court:
    """One frozen world whose books can be replaced: what the contract says of any state of any venue."""

    def __init__(self) -> None:
        self.world = EscapeWorld()
        self.world.put_in(100)

    def judge(self, replayer: Replayer) -> list[tuple[int, int]]:
        """(contract, twin) for each account of a state; the world forgets it afterwards."""
        world, now_s = self.world, self.world.now_s
        checkpoint = world.evm.snapshot()
        root = replayer.state_root()
        previous = world.view(world.settlement, "stateRoot")
        marks = replayer.marks_root()
        fields = (1, previous, root, 1, 1, EMPTY, 1, EMPTY, marks, EMPTY, now_s * 10**9)
        books = Books(replayer, BatchHeader(*fields))
        world.call(OPERATOR, world.settlement, "submit", fields)
        world.finalise()
        entry = world.escape_call("request", 1, sender=DEPOSITOR)
        world.now_s += FORCED_DEADLINE_S
        world.escape_call("freeze", entry)
        words = [*books.house, *[0] * (-len(books.house) % 3)]
        world.escape_call("openBooks", fields, books.roots, words, len(books.house))
        held = {number for account in books.state.accounts for number in books.list_held(account)}
        for number in sorted(held):
            world.escape_call("postMark", *books.prove_mark(number))
        pairs = []
        for account in books.state.accounts:
            world.escape_call("claim", *books.prove_account(account), False)
            found = int(world.escape_view("claimOf", account.number)[1])
            pairs.append((found, books.compute_value(account)))
        for instrument in books.state.instruments:
            if instrument.is_combo:
                with pytest.raises(Reverted, match="no positions"):
                    world.escape_call("postMark", *books.prove_mark(instrument.number))
                break
        world.evm.revert(checkpoint)
        world.now_s = now_s
        return pairs


def describe(replayer: Replayer) -> Counter[str]:
    """Which kinds of account and position a state shows."""
    state, seen = replayer.state, Counter[str]()
    for account in state.accounts:
        seen["sub-account"] += account.owner is not None
        seen["in liquidation"] += account.stage != LiquidationStage.NONE
        seen["groups or keys"] += bool(account.groups or account.keys)
        for number, lots, _ in list_positions(list_account_elements(account)):
            instrument = state.instruments[number]
            kind = InstrumentKind(instrument.kind).name
            seen[f"{'long' if lots > 0 else 'short'} {kind}"] += 1
            over = 0 < instrument.expiry_ns <= (state.time_ns or 0)
            seen["expired and not settled"] += over
            seen["funding accrued"] += instrument.accrual != 0
    return +seen


@pytest.mark.parametrize("profile", PROFILES)
def test_contract_twin_and_engine_agree_to_the_atom(profile: str) -> None:
    """[SETTLE-45] [MARGIN-2]: three readings of what an account is worth, on each state of a random venue."""
    court, seen, checked, debts = Court(), Counter[str](), 0, 0
    for engine, replayer in live(profile, 4_500 + PROFILES.index(profile)):
        equity = read_exposure(engine).equity_atoms
        debts += int((equity < 0).sum())
        expected = np.maximum(equity, 0).tolist()
        assert [(value, value) for value in expected] == court.judge(replayer)
        checked += len(expected)
        seen += describe(replayer)
    assert checked > 190
    assert WANTED[profile] <= set(seen)
    assert debts > 0 or profile in ("main", "tiny")
