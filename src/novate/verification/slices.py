"""The first stage of a liquidation as the replayer reads it: one order a tick that closes some lots.

Verifies [LIQ-2] and [LIQ-3].
"""

from novate.protocol.generated.codes import EventKind, LiquidationStage, Side, TimeInForce
from novate.protocol.generated.constants import ORDER_LOTS_MAX, PRICE_TICKS_MAX
from novate.verification.deleveraging import finish, list_held, settle_debt
from novate.verification.matching import match
from novate.verification.order_prices import compute_band
from novate.verification.order_records import Order, Terms
from novate.verification.risk import compute_equity, compute_maintenance, compute_standing, mul_ratio_ceil
from novate.verification.state import Account, Instrument, Position, State
from novate.verification.steps import Step


def choose_position(state: State, account: Account) -> tuple[Position, int]:
    """Return the position that the next slice closes, and of how many lots at most [LIQ-2]."""
    held = list_held(account)
    # The first of equals is the lowest underlying, and below the lowest instrument.
    underlyings = sorted({position.instrument.underlying for position in held})
    worst = max(underlyings, key=lambda underlying: compute_maintenance(state, account, underlying))
    held = [position for position in held if position.instrument.underlying == worst]
    delta = sum(compute_exposure(position) for position in held)
    leaning = [position for position in held if compute_exposure(position) * delta > 0]
    if not leaning:
        return max(held, key=lambda position: abs(position.lots)), ORDER_LOTS_MAX
    chosen = max(leaning, key=lambda position: abs(compute_exposure(position)))
    return chosen, -(-abs(delta) // abs(chosen.instrument.delta_atoms))


def compute_exposure(position: Position) -> int:
    """Return what a position adds to its portfolio's delta, in atoms."""
    return position.lots * position.instrument.delta_atoms


def compute_slice_lots(state: State, position: Position, most_lots: int) -> int:
    """Return how many lots one slice closes, at least one [LIQ-2]."""
    instrument = position.instrument
    market = state.markets[instrument.underlying]
    slice_lots = max(1, market.slice_notional_atoms // instrument.notional_atoms)
    return min(abs(position.lots), ORDER_LOTS_MAX, slice_lots, most_lots)


def compute_close_ticks(state: State, position: Position, equity_atoms: int) -> int:
    """Return the limit of the order that closes a position.

    It gives up per lot what is left before bankruptcy after the fee, within the band; in ticks rounded down
    for a buy and up for a sell, so that no more is given up [LIQ-2].
    """
    instrument = position.instrument
    mark, tick = instrument.mark_atoms, instrument.tick_atoms
    given_up = max(0, equity_atoms // abs(position.lots) - instrument.taker_fee_atoms)
    least, most = compute_band(state, instrument)
    ticks = min(mark + given_up, most) // tick
    if position.lots > 0:
        ticks = -(-max(mark - given_up, least, 0) // tick)
    return min(max(ticks, 1), PRICE_TICKS_MAX)


def take_slice(state: State, account: Account, equity_atoms: int) -> None:
    """Close some lots in the book, charge the penalty, and see where that leaves the account [LIQ-3]."""
    position, most_lots = choose_position(state, account)
    instrument = position.instrument
    side = Side.SELL if position.lots > 0 else Side.BUY
    ticks = compute_close_ticks(state, position, equity_atoms)
    lots = compute_slice_lots(state, position, most_lots)
    order = Order(
        state.next_order_id, account, instrument, Terms(instrument.number, side, TimeInForce.IOC, lots, ticks)
    )
    state.next_order_id += 1
    state.steps.append(
        Step(
            EventKind.SLICE,
            account.number,
            order_id=order.order_id,
            instrument=instrument.number,
            side=side,
            price_ticks=ticks,
            lots=lots,
        )
    )
    match(state, order)
    if order.lots < lots:
        charge_penalty(state, account, instrument, lots - order.lots)
    account.stage_ticks += 1
    state.dirty_accounts.add(account.number)
    review(state, account)


def charge_penalty(state: State, account: Account, instrument: Instrument, lots: int) -> None:
    """Let the fund have a share of the notional that was closed, but no more than there is [LIQ-3]."""
    rate_e6 = state.parameters["liquidation_fee_e6"]
    penalty = mul_ratio_ceil(lots * instrument.notional_atoms, rate_e6)
    if not instrument.is_linear:
        cap_e6 = state.parameters["option_fee_cap_e6"]
        penalty = min(penalty, mul_ratio_ceil(lots * instrument.mark_atoms, cap_e6))
    penalty = min(penalty, max(0, compute_equity(state, account)))
    state.pay(account, -penalty)
    state.insurance_atoms += penalty
    state.steps.append(Step(EventKind.PENALTY, account.number, amount_atoms=penalty))


def review(state: State, account: Account) -> None:
    """After a slice, end the liquidation, go on to the auction, or leave it for the next tick [LIQ-3]."""
    if not list_held(account):
        settle_debt(state, account, [])
        finish(state, account)
        return
    equity, maintenance = compute_standing(state, account)
    if equity >= maintenance:
        finish(state, account)
    elif account.stage_ticks >= state.parameters["slice_tick_count"] or equity <= 0:
        account.stage = int(LiquidationStage.AUCTION)
        account.stage_ticks = 0
        state.steps.append(Step(EventKind.AUCTION_STARTED, account.number, amount_atoms=equity))
