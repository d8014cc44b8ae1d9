"""Block trades as the replayer reads them: legs that two accounts agreed on and signed, all or none.

Verifies [BLOCK-1] to [BLOCK-3].
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, LiquidationStage, Side
from novate.protocol.generated.constants import (
    BLOCK_LEG_COUNT_MAX,
    GROSS_LOTS_MAX,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
)
from novate.verification import fees
from novate.verification.judging import SIDES, check_mark, check_open
from novate.verification.key_limits import BlockCheck
from novate.verification.keys import authenticate, authenticate_signer, find_key
from novate.verification.matching import trade
from novate.verification.order_prices import compute_band
from novate.verification.orders import close_records, count_missing_records
from novate.verification.risk import change_held, compute_summary, find_portfolio
from novate.verification.state import Account, Instrument, Rejected, State, require


class Leg(NamedTuple):
    """One leg; `direction` is +1 if the account that signs first buys."""

    instrument: Instrument
    direction: int
    lots: int
    limit_atoms: int


class Snapshot:
    """What filling legs changes, as it was before."""

    def __init__(self, state: State, accounts: Sequence[Account], legs: Sequence[Leg]) -> None:
        self.fees_atoms, self.insurance_atoms = state.fees_atoms, state.insurance_atoms
        self.cash = [(account, account.cash_atoms) for account in accounts]
        self.held = [
            (account, leg.instrument, *read_held(account, leg.instrument))
            for leg in legs
            for account in accounts
        ]

    def restore(self, state: State) -> None:
        """Undo everything since."""
        state.fees_atoms, state.insurance_atoms = self.fees_atoms, self.insurance_atoms
        for account, cash_atoms in self.cash:
            state.pay(account, cash_atoms - account.cash_atoms)
        for account, instrument, lots, cost_atoms in self.held:
            position = account.holdings[instrument.underlying][instrument.number]
            change_held(state, account, position, lots - position.lots, cost_atoms - position.cost_atoms)
            close_records(state, account, instrument)


def read_held(account: Account, instrument: Instrument) -> tuple[int, int]:
    """Return (lots, cost) that an account holds of an instrument."""
    position = account.holdings[instrument.underlying].get(instrument.number)
    return (position.lots, position.cost_atoms) if position else (0, 0)


def trade_block(state: State, command: Command) -> tuple[int, int]:
    """Apply BLOCK_TRADE and return (account, order id) [BLOCK-1] [BLOCK-2] [BLOCK-3]."""
    account = authenticate(state, command)
    counterparty = authenticate_signer(
        state, command, command.subject, command.cosigner, command.get("counter_nonce")
    )
    accounts = (account, counterparty)
    calm = all(side.stage == LiquidationStage.NONE for side in accounts)
    require(calm, Code.IN_LIQUIDATION)
    check_shape(command.items)
    require(account is not counterparty, Code.BLOCK_INVALID)
    legs = [check_leg(state, item) for item in command.items]
    missing = sum(count_missing_records(side, leg.instrument) for side in accounts for leg in legs)
    require(missing <= state.limits["positions"] - state.position_count, Code.TABLE_FULL)
    for side in accounts:
        check_gross(state, side, legs)
    before = Snapshot(state, accounts, legs)
    underlyings = sorted({leg.instrument.underlying for leg in legs})
    checks = [BlockCheck(state, side, underlyings) for side in accounts]
    for leg in legs:
        fill_leg(state, account, counterparty, leg)
    try:
        for check, sign, signer in zip(checks, (1, -1), (command.signer, command.cosigner), strict=True):
            check_side(state, check, [leg._replace(direction=sign * leg.direction) for leg in legs], signer)
    except Rejected:
        before.restore(state)
        raise
    for leg in legs:
        for side in accounts:
            close_records(state, side, leg.instrument)
    state.next_order_id += 1
    return account.number, state.next_order_id - 1


def check_shape(items: Sequence[tuple[int, ...]]) -> None:
    """Check how many legs there are, that they ascend, and that their sides are known [BLOCK-1]."""
    numbers = [item[0] for item in items]
    shaped = 1 <= len(items) <= BLOCK_LEG_COUNT_MAX
    shaped = shaped and all(left < right for left, right in pairwise(numbers))
    require(shaped and all(item[1] in SIDES for item in items), Code.COMMAND_MALFORMED)


def check_leg(state: State, item: tuple[int, ...]) -> Leg:
    """Check what one leg says, at the present mark, and return it [BLOCK-1]."""
    number, side, lots, price_ticks = item
    require(0 <= number < len(state.instruments), Code.INSTRUMENT_NOT_FOUND)
    instrument = state.instruments[number]
    check_open(state, instrument)
    require(not instrument.is_combo, Code.BLOCK_INVALID)
    require(lots >= 1, Code.SIZE_NOT_POSITIVE)
    require(lots <= ORDER_LOTS_MAX, Code.SIZE_ABOVE_MAXIMUM)
    require(price_ticks >= 1, Code.PRICE_NOT_POSITIVE)
    require(price_ticks <= PRICE_TICKS_MAX, Code.PRICE_ABOVE_MAXIMUM)
    check_mark(state, instrument)
    limit_atoms = price_ticks * instrument.tick_atoms
    least, most = compute_band(state, instrument)
    require(least <= limit_atoms <= most, Code.PRICE_OUTSIDE_BAND)
    return Leg(instrument, 1 if side == Side.BUY else -1, lots, limit_atoms)


def check_gross(state: State, account: Account, legs: Sequence[Leg]) -> None:
    """Check one side's gross lots, in each underlying, with all its legs on top [BLOCK-1]."""
    for underlying in {leg.instrument.underlying for leg in legs}:
        gross = find_portfolio(state, account, underlying).gross_lots
        added = sum(leg.lots for leg in legs if leg.instrument.underlying == underlying)
        require(gross + added <= GROSS_LOTS_MAX, Code.GROSS_LIMIT)


def fill_leg(state: State, account: Account, counterparty: Account, leg: Leg) -> None:
    """Trade one leg; who cosigned pays as a maker, but gets no rebate [BLOCK-2]."""
    for side, direction in ((account, leg.direction), (counterparty, -leg.direction)):
        trade(state, side, leg.instrument, direction, leg.lots, leg.limit_atoms)
    fees.charge_fill(
        state, account, counterparty, leg.instrument, leg.limit_atoms, leg.lots, has_rebate=False
    )


def check_side(state: State, check: BlockCheck, legs: Sequence[Leg], signer: bytes) -> None:
    """Check key and margin of one side with all legs filled, directions as it sees them [BLOCK-1]."""
    key = find_key(check.account, signer)
    if key is not None:
        check.apply(state, [(leg.instrument, leg.direction * leg.lots) for leg in legs], key)
    equity, _, initial = compute_summary(state, check.account)
    require(equity >= initial, Code.INITIAL_MARGIN_INSUFFICIENT)
