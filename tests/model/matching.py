"""[MATCH-3] to [MATCH-5], [MATCH-10], [MATCH-11], [ICEBERG-1], [NOVATE-*]: takers meet makers, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import combos, fees, novation, quotes
from .book import add_to_book, complete, crosses, describe, end_linked, end_order, join_level, take_from_book
from .records import BUY, FOK, IOC, Order

if TYPE_CHECKING:
    from .model import Model


def direction(order: Order) -> int:
    """+1 for a buy, -1 for a sell."""
    return 1 if order.side == BUY else -1


def reducible_lots(model: Model, order: Order) -> int:
    """[ORDER-3]: how much of the account's position the order could close."""
    position = model.accounts[order.account].positions.get(order.instrument)
    return max(0, -direction(order) * position.lots) if position else 0


def match_and_rest(model: Model, taker: Order) -> None:
    """[MATCH-3] to [MATCH-5]; the taker was accepted."""
    opposite = model.books[taker.instrument][1 - taker.side]
    while taker.lots and opposite and crosses(taker, opposite[0]):
        maker = opposite[0]
        room = quotes.meet(model, maker)
        if maker.account != taker.account:
            _meet(model, taker, maker, room)
            continue
        if taker.says("CANCEL_MAKER") or taker.says("CANCEL_BOTH"):
            end_order(model, maker, "SELF_TRADE")
        if not taker.says("CANCEL_MAKER"):
            end_order(model, taker, "SELF_TRADE")
            return
    if not taker.lots:
        complete(model, taker)
    elif taker.time_in_force in (IOC, FOK):
        end_order(model, taker, "IOC_REMAINDER")
    else:
        add_to_book(model, taker)
        model.emit("REST", **describe(taker))


def _meet(model: Model, taker: Order, maker: Order, room: int) -> None:
    """A maker of another account, with room for so many lots: a fill and what follows ([MATCH-11])."""
    wanted = min(taker.lots, maker.visible_lots)
    if maker.says("REDUCE_ONLY"):
        wanted = min(wanted, reducible_lots(model, maker))
        if not wanted:
            end_order(model, maker, "REDUCE_ONLY")
            return
    lots = min(wanted, room)
    if lots:
        _fill(model, taker, maker, lots)
    if not maker.lots:
        take_from_book(model, maker)
    elif not maker.visible_lots:
        _refresh(model, maker)
    if maker.group:
        instrument = model.instruments[maker.instrument]
        quotes.count_fill(model, maker.account, maker.group, instrument, direction(maker), lots, wanted)
    if lots:
        end_linked(model, maker)
        end_linked(model, taker)
        if not maker.lots:
            complete(model, maker)


def _refresh(model: Model, maker: Order) -> None:
    """[ICEBERG-1]: the next slice joins the end of the level."""
    model.books[maker.instrument][maker.side].remove(maker)
    maker.visible_lots = min(maker.display_lots, maker.lots)
    join_level(model, maker)
    model.emit("REFRESHED", **describe(maker))


def fillable_lots(model: Model, taker: Order) -> int:
    """[MATCH-10]: what a fill-or-kill order may count on."""
    total = 0
    own = any(order.instrument == taker.instrument for order in model.accounts[taker.account].orders.values())
    for maker in model.books[taker.instrument][1 - taker.side]:
        if not crosses(taker, maker):
            break
        if maker.account == taker.account:
            if taker.says("CANCEL_MAKER"):
                continue
            break
        if not maker.says("REDUCE_ONLY") and not maker.link:
            behind_own = own and not taker.says("CANCEL_MAKER")
            lots = maker.visible_lots if behind_own else maker.lots
            total += min(lots, quotes.capacity(model, maker))
    return total


def _fill(model: Model, taker: Order, maker: Order, lots: int) -> None:
    """[NOVATE-1] to [NOVATE-4]: both sides trade with the house, at the maker's price."""
    instrument = model.instruments[taker.instrument]
    sides = [(order, model.accounts[order.account]) for order in (taker, maker)]
    price_atoms = instrument.limit_atoms(maker.price_ticks)
    if instrument.legs:
        rates = combos.fees_per_lot(model, sides[0][1], sides[1][1], instrument)
    else:
        rates = fees.per_lot(model, sides[0][1], sides[1][1], instrument, price_atoms)
    for (order, account), fee_per_lot in zip(sides, rates, strict=True):
        if not instrument.legs:
            novation.trade(model, account, taker.instrument, lots * direction(order), price_atoms)
        account.cash_atoms -= lots * fee_per_lot
        order.lots -= lots
    maker.visible_lots -= lots
    instrument.last_ticks = maker.price_ticks
    fees.credit(model, lots * sum(rates))
    model.emit(
        "FILL",
        account=taker.account,
        order_id=taker.order_id,
        instrument=taker.instrument,
        side=taker.side,
        price_ticks=maker.price_ticks,
        lots=lots,
        maker_account=maker.account,
        maker_order_id=maker.order_id,
        amount_atoms=lots * rates[0],
        maker_amount_atoms=lots * rates[1],
    )
    if instrument.legs:
        combos.fill(model, taker, maker, lots)
