"""Orders whose price is a volatility: their ticks are found again at every mark [IV-2]."""

from novate.protocol.generated.codes import CancelReason
from novate.verification.judging import judge
from novate.verification.matching import take_place
from novate.verification.order_prices import compute_effective_ticks
from novate.verification.order_records import Order
from novate.verification.orders import cancel_order, sort_orders
from novate.verification.state import Market, Rejected, State


def reprice_volatility_orders(state: State, market: Market) -> None:
    """Find again the price of each VOLATILITY order in an underlying that was just marked [IV-2]."""
    found = [
        order
        for order in state.orders.values()
        if order.volatility_bp and state.markets[order.instrument.underlying] is market
    ]
    for order in sort_orders(found):
        if state.orders.get(order.order_id) is order:
            reprice(state, order)


def reprice(state: State, order: Order) -> None:
    """Move an open order to its new effective price, or end it if it would be refused there [IV-2]."""
    if compute_effective_ticks(state, order) == order.price_ticks:
        return
    moved = Order(order.order_id, order.account, order.instrument, order.terms._replace(lots=order.lots))
    try:
        judge(state, moved, order)
    except Rejected:
        cancel_order(state, order, CancelReason.REPRICE_REJECTED)
        return
    take_place(state, order, moved)
