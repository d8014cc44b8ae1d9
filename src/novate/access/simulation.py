"""What the law would ask of a portfolio that nobody holds yet: private/simulate_portfolio.

The account's own sums are copied, the positions in question are added with the law's own leaves, and nothing
is written back. Positions are taken at their marks, so equity stays as it is. Law: MARGIN-1, MARGIN-4 to
MARGIN-9, MARGIN-13.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from novate.access.errors import ApiError, refuse_parameter
from novate.access.market_payloads import name_index
from novate.access.parameters import SimulationParameters
from novate.access.quantities import Number, count_steps, format_step, read_decimal, show_usdc
from novate.access.venue import Caller, Venue
from novate.execution import views
from novate.execution.engine import Engine, InstrumentView
from novate.protocol import margin
from novate.protocol.generated.codes import AccessCode, Code, InstrumentKind
from novate.protocol.generated.constants import (
    BASIS_COUNT,
    E6,
    GROSS_LOTS_MAX,
    NO_MARK_ATOMS,
    SCENARIO_COUNT,
)
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6, VOLATILITY_MODE

Integers = np.ndarray[Any, np.dtype[np.int64]]
Record = Any

VOLATILITY_NAME = ("unchanged", "up", "down")
OPEN_COST = SCENARIO_COUNT  # Places of O0_g and G_g behind the 32 scenarios of a group's effects.
BASIS = SCENARIO_COUNT + 1


class Leg(NamedTuple):
    """One position in question with its instrument's rows, and what the account has in it already."""

    instrument: InstrumentView
    notional_atoms: int
    row: Integers
    basis_row: Integers
    lots: int
    held_lots: int
    open_buy_lots: int
    open_sell_lots: int


@dataclass
class Book:
    """A copy of one account's sums in one underlying, and the confidence of its index."""

    confidence_e6: int
    portfolio: Record
    pnl: Integers
    effects: Integers
    held: Integers
    opened: Integers


class Requirement(NamedTuple):
    """Requirements in atoms, and the profit in each scenario."""

    initial_atoms: int
    maintenance_atoms: int
    pnl: Integers


def read_signed_lots(amount: Number, instrument: InstrumentView) -> int:
    """Return the lots of a signed amount in units of the underlying."""
    lots = count_steps(read_decimal(amount, "simulated_positions"), instrument.lots_per_unit, 1)
    if lots is None:
        step = format_step(1, instrument.lots_per_unit)
        raise ApiError(AccessCode.SIZE_OFF_LOT, f"the amount must be a multiple of {step}", step=step)
    if abs(lots) > GROSS_LOTS_MAX:
        raise ApiError(Code.GROSS_LIMIT)
    return lots


def read_legs(venue: Venue, account: int, given: SimulationParameters) -> list[Leg]:
    """Return the positions in question; each needs a mark."""
    have = {}
    if given.add_positions:
        have = {row.instrument: row for row in views.read_positions(venue.engine, account)}
    legs = []
    for name, amount in given.simulated_positions.items():
        instrument = venue.find_instrument(name)
        if instrument.kind == InstrumentKind.COMBO:
            raise refuse_parameter("simulated_positions", "of instruments that are no combos: name its legs")
        if views.read_instrument_state(venue.engine, instrument.number).mark_atoms == NO_MARK_ATOMS:
            raise ApiError(Code.MARK_UNAVAILABLE, f"{name} has no mark", instrument_name=name)
        row = have.get(instrument.number)
        present = (row.lots, row.open_buy_lots, row.open_sell_lots) if row is not None else (0, 0, 0)
        world, number = venue.engine.world, instrument.number
        notional = int(world.instruments[number]["notional_atoms"])
        rows = world.rows[number].copy(), world.basis_rows[number].copy()
        legs.append(Leg(instrument, notional, *rows, read_signed_lots(amount, instrument), *present))
    return legs


def make_empty_book(engine: Engine, underlying: int) -> Book:
    """Return the sums of an account that has nothing."""
    series = engine.world.basis_held.shape[1]
    return Book(
        int(engine.world.markets[underlying]["confidence_e6"]),
        np.zeros(1, margin.PORTFOLIO)[0],
        np.zeros(SCENARIO_COUNT, np.int64),
        np.zeros(SCENARIO_COUNT, np.int64),
        np.zeros((series, BASIS_COUNT), np.int64),
        np.zeros((series, BASIS_COUNT), np.int64),
    )


def copy_book(engine: Engine, account: int, underlying: int) -> Book:
    """Return a copy of an account's sums, its groups of quotes counted in. [MARGIN-13]

    Call it after the engine's views have found the account's margin, which renews what each group costs.
    """
    world = engine.world
    book = Book(
        int(world.markets[underlying]["confidence_e6"]),
        world.portfolios[account, underlying : underlying + 1].copy()[0],
        world.pnl[account, underlying].copy(),
        world.effects[account, underlying].copy(),
        world.basis_held[account].copy(),
        world.basis_open[account].copy(),
    )
    for group, effects in zip(world.groups[account], world.group_effects[account], strict=True):
        if group["underlying"] != underlying or group["open_lots"] == 0:
            continue
        limit_lots = max(0, group["quantity_limit_lots"] - group["filled_lots"])
        notional = group["notional_atoms"]
        book.effects += effects[:SCENARIO_COUNT]
        book.portfolio["open_cost_atoms"] += effects[OPEN_COST]
        book.portfolio["basis_worst_atoms"] -= effects[BASIS]
        book.portfolio["short_worst_atoms"] += min(limit_lots, group["open_sell_lots"]) * notional
        book.portfolio["gross_worst_atoms"] += min(limit_lots, group["open_lots"]) * notional
    return book


def add_leg(book: Book, leg: Leg) -> None:
    """Add a position in question to the sums. [MARGIN-1] [MARGIN-4] to [MARGIN-7]"""
    kind, series, portfolio = leg.instrument.kind, leg.instrument.series, book.portfolio
    rest = leg.open_buy_lots, leg.open_sell_lots, leg.notional_atoms
    margin.add_contingency(portfolio, kind, leg.held_lots, *rest, -1)
    margin.add_contingency(portfolio, kind, leg.held_lots + leg.lots, *rest, 1)
    margin.add_position_effect(book.pnl, leg.row, leg.lots)
    if series < 0:
        return
    held, opened = book.held[series], book.opened[series]
    portfolio["basis_worst_atoms"] -= margin.compute_basis_worst(held, opened)
    portfolio["basis_held_atoms"] -= margin.compute_basis_held(held)
    margin.add_basis_position(held, leg.basis_row, leg.lots)
    portfolio["basis_worst_atoms"] += margin.compute_basis_worst(held, opened)
    portfolio["basis_held_atoms"] += margin.compute_basis_held(held)


def compute_simulation(books: list[Book], legs: list[Leg], parameters: Record) -> list[Requirement]:
    """Return what the law asks of each underlying with the positions in question. [MARGIN-8] [MARGIN-9]"""
    for leg in legs:
        add_leg(books[leg.instrument.underlying], leg)
    found = []
    for book in books:
        if book.portfolio["gross_lots"] > GROSS_LOTS_MAX:
            raise ApiError(Code.GROSS_LIMIT)
        initial = margin.compute_initial_margin(
            book.portfolio, book.pnl, book.effects, book.confidence_e6, parameters
        )
        maintenance = margin.compute_maintenance_margin(book.portfolio, book.pnl, parameters)
        found.append(Requirement(int(initial), int(maintenance), book.pnl))
    return found


def describe_scenarios(venue: Venue, requirements: list[Requirement]) -> list[dict[str, Any]]:
    """Return the profit of each index's portfolio in the law's scenarios, damped as the law damps it."""
    return [
        {
            "index_name": name_index(venue.genesis.underlyings[number].name),
            "initial_margin": show_usdc(requirement.initial_atoms),
            "maintenance_margin": show_usdc(requirement.maintenance_atoms),
            "scenarios": [
                {
                    "move": int(MOVE_E6[s]) / E6,
                    "volatility": VOLATILITY_NAME[int(VOLATILITY_MODE[s])],
                    "damping": int(DAMPING_E6[s]) / E6,
                    "profit_loss": show_usdc(int(requirement.pnl[s])),
                }
                for s in range(SCENARIO_COUNT)
            ],
        }
        for number, requirement in enumerate(requirements)
    ]


def sum_lots(venue: Venue, account: int, given: SimulationParameters, legs: list[Leg]) -> dict[int, int]:
    """Return the lots by instrument that the portfolio would hold."""
    lots: dict[int, int] = {}
    if given.add_positions:
        lots = {row.instrument: row.lots for row in views.read_positions(venue.engine, account)}
    for leg in legs:
        lots[leg.instrument.number] = lots.get(leg.instrument.number, 0) + leg.lots
    return {number: count for number, count in lots.items() if count}


async def simulate_portfolio(venue: Venue, caller: Caller, given: SimulationParameters) -> dict[str, Any]:
    """Return the account summary as it would be with positions taken at their marks, and the scenarios.

    With `add_positions` they come on top of what the account holds and has open; without it they are all.
    """
    if given.currency.upper() not in ("USDC", "ANY"):
        raise refuse_parameter("currency", "USDC", given.currency)
    engine, account = venue.engine, venue.require_account(caller)
    legs = read_legs(venue, account, given)
    view = views.read_account(engine, account)
    count = len(venue.genesis.underlyings)
    if given.add_positions:
        books = [copy_book(engine, account, number) for number in range(count)]
    else:
        books = [make_empty_book(engine, number) for number in range(count)]
    greeks = venue.accounts.sum_greeks(sum_lots(venue, account, given, legs))
    # The first call compiles the law's leaves, which takes seconds that nobody else should wait for.
    requirements = await asyncio.to_thread(compute_simulation, books, legs, engine.world.parameters[0])
    initial = sum(each.initial_atoms for each in requirements)
    maintenance = sum(each.maintenance_atoms for each in requirements)
    simulated = view._replace(initial_margin_atoms=initial, maintenance_margin_atoms=maintenance)
    summary = venue.accounts.describe_account(simulated)
    return summary | greeks | {"simulation": describe_scenarios(venue, requirements)}
