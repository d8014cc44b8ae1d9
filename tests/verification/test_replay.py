"""The replayer against the naive model, against the engine, and against its own definitions."""

from typing import Any

import pytest

from novate.execution.commitment import StateCommitment, compute_genesis_root
from novate.execution.engine import Engine
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.generated.constants import SCENARIO_COUNT
from novate.protocol.poseidon2 import hash_elements
from novate.verification.risk import find_portfolio, recompute_portfolio
from novate.verification.state import BrokenInvariant, Portfolio
from novate.verification.tree import hash_list
from tests.model.generator import iter_world
from tests.verification.model_commands import convert, make_replayer
from tests.verification.model_leaves import compare_leaves

COUNT = 4_000
WORLDS = [(11, "main"), (12, "tiny"), (13, "crowd")]


@pytest.mark.parametrize(("seed", "profile"), WORLDS)
def test_replayer_and_model_agree(seed: int, profile: str) -> None:
    """Two readings of the same clauses come to the same codes, and to the same leaves of the state tree."""
    replayer = make_replayer(profile)
    for world, command, events in iter_world(seed, COUNT, profile):
        outcome = replayer.apply(convert(command))
        result = events[0]
        expected = (result["code"], result["order_id"], result["account"])
        assert expected == (outcome.code, outcome.order_id, outcome.account), command
        if command["sequence"] % 20 == 0 or command["sequence"] == COUNT:
            compare_leaves(world.model, replayer.state)


@pytest.mark.parametrize(("seed", "profile"), WORLDS)
def test_replayer_and_engine_arrive_at_the_same_roots(seed: int, profile: str) -> None:
    """After each batch the state root and the marks root are the engine's, from the genesis root on."""
    replayer = make_replayer(profile)
    engine = Engine(replayer.genesis)
    commitment = StateCommitment(engine)
    assert compute_genesis_root(engine) == replayer.state_root()
    sealed = 0
    for _, fields, _ in iter_world(seed + 100, COUNT, profile):
        command = convert(fields)
        events = engine.apply([command])
        outcome = replayer.apply(command)
        assert (events[0]["code"], events[0]["order_id"]) == (outcome.code, outcome.order_id)
        if command.kind == CommandKind.SEAL and outcome.code == Code.OK:
            roots = commitment.compute(commitment.collect())
            assert tuple(roots) == (replayer.state_root(), replayer.marks_root())
            sealed += 1
    assert sealed > 3


def read_sums(portfolio: Portfolio) -> tuple[Any, ...]:
    basis = {series: sums for series, sums in portfolio.basis.items() if any(sums)}
    quotes = {
        group: {order_id: lots for order_id, (_, lots) in sorted(open_quotes.items())}
        for group, open_quotes in sorted(portfolio.quotes.items())
    }
    apart = ("basis", "quotes", "pnl", "effects")
    plain = [getattr(portfolio, name) for name in Portfolio.__slots__ if name not in apart]
    return (*plain, basis, quotes, portfolio.pnl.tolist(), portfolio.effects.tolist())


def test_running_sums_are_those_of_their_definition() -> None:
    """What follows each order and fill is what positions and orders give counted afresh [MARGIN-1]."""
    replayer = make_replayer("main")
    state, compared = replayer.state, 0
    for _, command, _ in iter_world(31, 2_500, "main"):
        replayer.apply(convert(command))
        if command["sequence"] % 100:
            continue
        for account in state.accounts:
            for underlying, market in enumerate(state.markets):
                afresh = Portfolio(SCENARIO_COUNT)
                recompute_portfolio(afresh, account.holdings[underlying].values(), market)
                running = find_portfolio(state, account, underlying)
                assert read_sums(afresh) == read_sums(running)
                compared += bool(account.holdings[underlying])
    assert compared > 100


def test_money_from_nowhere_is_noticed() -> None:
    """Conservation [CASH-3] is checked with every command, and counted afresh at each SEAL."""
    replayer = make_replayer("main")
    commands = [convert(command) for _, command, _ in iter_world(31, 400, "main")]
    for command in commands:
        replayer.apply(command)
    account = replayer.state.accounts[0]
    replayer.state.pay(account, 1)
    tick = Command(CommandKind.TICK, commands[-1].time_ns, ())
    with pytest.raises(BrokenInvariant, match="CASH-3"):
        replayer.apply(tick)
    replayer.state.cash_sum -= 1
    replayer.apply(tick)
    seal = Command(CommandKind.SEAL, commands[-1].time_ns, (replayer.state.batch + 1,))
    with pytest.raises(BrokenInvariant, match="CASH-3"):
        replayer.apply(seal)


def test_long_lists_hash_as_the_law_says() -> None:
    """The fast sponge is the law's, for each length around a group of three, and for negative numbers."""
    for count in range(9):
        elements = [(-1) ** n * (n + 1) ** 19 for n in range(count)] + [2**160 - count]
        assert hash_elements(2, elements) == hash_list(2, elements)
