"""The replayer: an independent reading of the law that turns published commands into results and state roots.

It imports nothing of the engine. It calls the law's pure leaves - pricing rows, surface checks, hashes - and
keeps, finds, orders and traverses state in its own way, so that a mistake of the engine is not repeated here.
"""

from typing import NamedTuple

from novate.protocol.command import NO_ACCOUNT, Command
from novate.protocol.generated.codes import Code, CommandKind, EventKind, InstrumentKind
from novate.protocol.generated.constants import EXPIRY_AHEAD_NS_MAX, NS_PER_S
from novate.protocol.generated.records import SIGNED_BY
from novate.protocol.genesis import Genesis
from novate.protocol.instrument import InstrumentTerms, format_combo_name, format_instrument_name
from novate.verification import auction, blocks, cash, combos, keys, marking, quotes, timers, trading, waiting
from novate.verification.state import (
    NO_SERIES,
    BrokenInvariant,
    Instrument,
    Market,
    Rejected,
    Series,
    State,
    require,
)
from novate.verification.steps import Step
from novate.verification.ticking import tick
from novate.verification.tree import StateTree

SLICE_ATOMS_END = 1 << 40


class Outcome(NamedTuple):
    """The result of one command: code, account number (-1 if none), order id (0 if none) [CMD-3]."""

    code: Code
    account: int
    order_id: int


class Replayer:
    """Applies commands in order and knows the state root after each."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.state = State(genesis)
        self.tree = StateTree()
        self.names: list[str] = []

    def apply(self, command: Command) -> Outcome:
        """Apply the next command and check conservation.

        Errors     BrokenInvariant if a promise of the law fails, whatever the command was.
        """
        state = self.state
        state.sequence += 1
        state.endings.clear()
        state.steps.clear()
        try:
            require(state.time_ns is None or command.time_ns >= state.time_ns, Code.TIME_NOT_MONOTONIC)
            state.time_ns = command.time_ns
            account, order_id = self._dispatch(command)
            # Whatever the command armed fires before the next one [TRIG-5].
            waiting.fire_ready(state)
            outcome = Outcome(Code.OK, account, order_id)
        except Rejected as refusal:
            is_account = command.kind == CommandKind.DEPOSIT or SIGNED_BY[command.kind] == "account"
            number = state.account_numbers.get(command.holder, NO_ACCOUNT) if is_account else NO_ACCOUNT
            outcome = Outcome(refusal.code, number, 0)
        check_sums(state)
        return outcome

    def pass_time(self, command: Command) -> None:
        """Take notice of a command's time only, as if it had been refused for another reason."""
        self.state.sequence += 1
        if self.state.time_ns is None or command.time_ns >= self.state.time_ns:
            self.state.time_ns = command.time_ns

    def state_root(self) -> bytes:
        """Return the state root after the last command, 32 bytes [STATE-1]."""
        return self.tree.compute_root(self.state)

    def marks_root(self) -> bytes:
        """Return the instruments' root as of the last `state_root`, 32 bytes [STATE-4]."""
        return self.tree.marks_root()

    def _dispatch(self, command: Command) -> tuple[int, int]:
        state, kind = self.state, command.kind
        if kind in READERS:
            return READERS[kind](state, command)
        if kind == CommandKind.TICK:
            return tick(state)
        if kind == CommandKind.LIST_COMBO:
            authenticate_operator(state, command)
            combo = combos.list_combo(state, command.items)
            self.names.append(format_combo_name([(r, self.names[leg.number]) for leg, r in combo.parts]))
            return -1, 0
        if kind == CommandKind.LIST_INSTRUMENT:
            self.names.append(list_instrument(state, command))
            return -1, 0
        assert kind == CommandKind.SEAL, "Invariant [CMD-4]: every kind of command is handled."
        return seal(state, command)


def authenticate_operator(state: State, command: Command) -> None:
    """Check that the operator signed, and use up its nonce [AUTH-4]."""
    assert state.time_ns is not None
    require(command.signer == state.genesis.operator, Code.OPERATOR_UNKNOWN)
    require(command.get("expires_ns") > state.time_ns, Code.SIGNATURE_EXPIRED)
    require(command.get("nonce") > state.operator_nonce, Code.NONCE_REPLAYED)
    state.operator_nonce = command.get("nonce")


def set_tier(state: State, command: Command) -> tuple[int, int]:
    """Apply SET_TIER [TIER-1]."""
    number, tier = command.values[:2]
    authenticate_operator(state, command)
    require(0 <= number < len(state.accounts), Code.ACCOUNT_NOT_FOUND)
    require(0 <= tier < len(state.genesis.fee_tiers), Code.TIER_INVALID)
    state.accounts[number].tier = tier
    state.dirty_accounts.add(number)
    return -1, 0


def set_slice(state: State, command: Command) -> tuple[int, int]:
    """Apply SET_SLICE [LIQ-9]."""
    underlying, notional_atoms = command.values[:2]
    authenticate_operator(state, command)
    market = marking.find_market(state, underlying)
    require(notional_atoms >= 1, Code.AMOUNT_NOT_POSITIVE)
    require(notional_atoms < SLICE_ATOMS_END, Code.BALANCE_LIMIT)
    market.slice_notional_atoms = notional_atoms
    state.steps.append(Step(EventKind.SLICE_SET, instrument=underlying, amount_atoms=notional_atoms))
    return -1, 0


def list_instrument(state: State, command: Command) -> str:
    """Apply LIST_INSTRUMENT and return the new instrument's name [LIST-1]."""
    underlying, kind, strike, expiry = command.values[:4]
    authenticate_operator(state, command)
    assert state.time_ns is not None
    market = marking.find_market(state, underlying)
    require(is_valid_listing(state.time_ns, market, kind, strike, expiry), Code.INSTRUMENT_INVALID)
    terms = InstrumentTerms(underlying, kind, strike, expiry)
    require(terms not in state.listed, Code.INSTRUMENT_EXISTS)
    require(len(state.instruments) < state.limits["instruments"], Code.INSTRUMENT_TABLE_FULL)
    is_perpetual = kind == InstrumentKind.PERPETUAL
    number = NO_SERIES if is_perpetual else state.series_numbers.get((underlying, expiry), len(state.series))
    require(number < state.limits["series"], Code.INSTRUMENT_TABLE_FULL)
    if number == len(state.series):
        state.series.append(Series(number, underlying, expiry))
        state.series_numbers[underlying, expiry] = number
    instrument = Instrument(len(state.instruments), underlying, kind, strike, expiry, number)
    figures = market.figures
    instrument.lots_per_unit, instrument.tick_atoms = (
        (figures.perpetual_lots_per_unit, figures.perpetual_tick_atoms)
        if instrument.is_linear
        else (figures.option_lots_per_unit, figures.option_tick_atoms)
    )
    state.listed.add(terms)
    state.instruments.append(instrument)
    market.instruments.append(instrument)
    if not is_perpetual:
        state.series[number].instruments.append(instrument)
    state.dirty_instruments.add(instrument.number)
    return format_instrument_name(figures.name, terms)


def is_valid_listing(time_ns: int, market: Market, kind: int, strike: int, expiry: int) -> bool:
    """Whether kind, strike and expiry lie in the allowed range [LIST-1]."""
    if kind == InstrumentKind.PERPETUAL:
        return strike == 0 and expiry == 0
    in_time = time_ns < expiry <= time_ns + EXPIRY_AHEAD_NS_MAX and expiry % NS_PER_S == 0
    if kind == InstrumentKind.FUTURE:
        return strike == 0 and in_time
    if kind not in (InstrumentKind.CALL, InstrumentKind.PUT):
        return False
    return 1 <= strike <= market.figures.index_atoms_max and in_time


def seal(state: State, command: Command) -> tuple[int, int]:
    """Apply SEAL, then count everything again from the beginning [SEAL-1] [CASH-3]."""
    batch = command.values[0]
    require(batch == state.batch + 1, Code.BATCH_OUT_OF_ORDER)
    state.batch = batch
    recount(state)
    return -1, 0


def check_sums(state: State) -> None:
    """Check conservation on the running sums [CASH-3]."""
    owed = state.cash_sum - state.linear_cost_sum + state.fees_atoms + state.insurance_atoms
    paid_in = state.deposited_atoms - state.withdrawn_atoms
    if state.insurance_atoms < 0:
        raise BrokenInvariant(f"the insurance fund owes {-state.insurance_atoms} atoms [LIQ-7]")
    if owed != paid_in:
        raise BrokenInvariant(
            f"cash, entry values, fees and insurance are {owed} atoms, {paid_in} came in [CASH-3]"
        )


def recount(state: State) -> None:
    """Check conservation and the zero sum of lots from every account and position [CASH-3]."""
    cash = sum(account.cash_atoms for account in state.accounts)
    cost = 0
    lots: dict[int, int] = {}
    for account in state.accounts:
        for holdings in account.holdings:
            for number, position in holdings.items():
                lots[number] = lots.get(number, 0) + position.lots
                cost += position.cost_atoms if position.instrument.is_linear else 0
    if (cash, cost) != (state.cash_sum, state.linear_cost_sum):
        raise BrokenInvariant("the running sums of cash and entry values differ from the accounts [CASH-3]")
    unbalanced = [number for number, total in lots.items() if total]
    if unbalanced:
        raise BrokenInvariant(f"the lots of instrument {unbalanced[0]} do not sum to zero [CASH-3]")


READERS = {
    CommandKind.DEPOSIT: cash.deposit,
    CommandKind.WITHDRAW: cash.withdraw,
    CommandKind.PLACE: trading.place,
    CommandKind.REPLACE: trading.replace,
    CommandKind.CANCEL: trading.cancel,
    CommandKind.CANCEL_ALL: trading.cancel_all,
    CommandKind.PLACE_TRIGGER: waiting.place_trigger,
    CommandKind.PROTECT: timers.protect,
    CommandKind.DISCONNECT: timers.disconnect,
    CommandKind.SET_MMP: quotes.set_protection,
    CommandKind.MASS_QUOTE: quotes.mass_quote,
    CommandKind.SET_TIER: set_tier,
    CommandKind.BACKSTOP: auction.set_demand,
    CommandKind.SET_SLICE: set_slice,
    CommandKind.INSURE: cash.insure,
    CommandKind.AUTHORIZE_KEY: keys.authorize_key,
    CommandKind.REVOKE_KEY: keys.revoke_key,
    CommandKind.CREATE_SUBACCOUNT: cash.create_subaccount,
    CommandKind.TRANSFER: cash.transfer,
    CommandKind.BLOCK_TRADE: blocks.trade_block,
    CommandKind.INDEX: marking.report_index,
    CommandKind.SURFACE: marking.report_surface,
}
