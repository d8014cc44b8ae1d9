"""Orders whose price is a volatility: their ticks are found again at every mark [IV-2]."""

from novate.protocol.generated.codes import CancelReason
from novate.verification.judging import judge_alone
from novate.verification.matching import match
from novate.verification.order_prices import compute_effective_ticks
from novate.verification.order_records import Order
from novate.verification.orders import end, remove, sort_orders
from novate.verification.state import Market, Rejected, State


def reprice_volatility_orders(state: State, market: Market) -> None:
    """Find again the price of each VOLATILITY order in an underlying that was just marked [IV-2].

    All that move leave the book before the first comes back, so that no new price meets an old one.
    """
    found = [
        order
        for order in state.orders.values()
        if order.volatility_bp and state.markets[order.instrument.underlying] is market
    ]
    moving = [
        order for order in sort_orders(found) if compute_effective_ticks(state, order) != order.price_ticks
    ]
    for order in moving:
        remove(state, order)
        state.endings.append((order.order_id, int(CancelReason.REPLACED)))
    for order in moving:
        come_back(state, order)


def come_back(state: State, order: Order) -> None:
    """Match and rest a volatility order at its new price, or end it if it is refused there [IV-2]."""
    moved = Order(order.order_id, order.account, order.instrument, order.terms._replace(lots=order.lots))
    try:
        judge_alone(state, moved, is_new=False)
    except Rejected:
        end(state, order.account, order.order_id, CancelReason.REPRICE_REJECTED)
        return
    match(state, moved)
