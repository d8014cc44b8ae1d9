"""The replayer's reading of session keys: who may sign, what, how often, and up to which limits."""

import pytest

from novate.protocol.generated.codes import Code, CommandKind, EventKind, Side
from novate.protocol.generated.constants import KEY_COUNT
from novate.verification.steps import Step
from novate.verification.tree import list_account_elements
from tests.verification.order_desk import CALL, FAR_NS, MARK_TICKS, SECOND, Desk, Parties, make_address

BUY, SELL = Side.BUY, Side.SELL
OWNER, MAKER = range(2)
KEY = make_address(0x40)
FIGURES = ("scope", "key_expires_ns", "max_notional_atoms", "max_delta_atoms", "max_vega_atoms")
FIGURES += ("rate_per_minute",)
LOT_ATOMS = 80_000_000  # Mark, notional and delta of a perpetual's lot.
NONE_OF_A_KEY = [
    (CommandKind.WITHDRAW, {"amount_atoms": 1}),
    (CommandKind.INSURE, {"amount_atoms": 1}),
    (CommandKind.BACKSTOP, {"demand_e6": 1}),
    (CommandKind.REVOKE_KEY, {}),
    (CommandKind.CREATE_SUBACCOUNT, {"subaccount": 1}),
]
BY_SCOPE = [
    (1, CommandKind.PLACE, {}),
    (1, CommandKind.PLACE_TRIGGER, {"reference": 1, "condition": 0, "trigger_atoms": 1}),
    (1, CommandKind.REPLACE, {"order_id": 1, "lots": 1, "price_ticks": 1}),
    (2, CommandKind.CANCEL, {"order_id": 1}),
    (2, CommandKind.CANCEL_ALL, {"instrument": -1, "label": 0, "group": 0}),
    (2, CommandKind.PROTECT, {"timeout_ns": 0, "cancel_on_disconnect": 0}),
    (4, CommandKind.MASS_QUOTE, {"group": 1}),
    (8, CommandKind.BLOCK_TRADE, {"counter_nonce": 1}),
    (16, CommandKind.TRANSFER, {"amount_atoms": 1}),
]


class KeyDesk(Desk):
    """A desk on which the first trader gives keys away."""

    def authorize(self, key: bytes = KEY, trader: int = OWNER, signer: bytes = b"", **figures: int) -> Code:
        """Give a key that may do everything for ever, but for the figures named."""
        fields = dict.fromkeys(FIGURES, 0) | {"scope": 31, "key_expires_ns": FAR_NS} | figures
        return self.ask(CommandKind.AUTHORIZE_KEY, trader, signer, Parties(subject=key), **fields)

    def revoke(self, key: bytes = KEY) -> Code:
        return self.ask(CommandKind.REVOKE_KEY, OWNER, parties=Parties(subject=key))

    def send(self, side: Side = BUY, **fields: int) -> Code:
        """A PLACE of the owner's account, signed by the key."""
        return self.ask(CommandKind.PLACE, OWNER, KEY, side=side, **fields)

    def quote(self, *quotes: tuple[int, ...]) -> Code:
        """The key quotes for the owner's first group."""
        return self.ask(CommandKind.MASS_QUOTE, OWNER, KEY, Parties(items=quotes), group=1)

    def open_group(self) -> None:
        figures = {"window_ns": SECOND, "frozen_ns": 0, "quantity_limit_lots": 1_000}
        limits = {"delta_limit_atoms": 0, "vega_limit_atoms": 0}
        assert Code.OK == self.ask(CommandKind.SET_MMP, OWNER, group=1, underlying=0, **figures, **limits)


def test_a_key_is_known_by_its_place_and_leaf() -> None:
    """[KEY-3] [STATE-2]: the lowest free place, the figures as given, and a leaf that says so."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(make_address(0x41))
    assert Code.OK == desk.authorize(scope=1, max_vega_atoms=7, rate_per_minute=3)
    assert [Step(EventKind.KEY_AUTHORIZED, OWNER, order_id=2)] == desk.state.steps
    assert Code.OK == desk.send()
    last, sent_ns = desk.nonce, desk.time_ns
    key = [2, int.from_bytes(KEY, "big"), 1, FAR_NS, 0, 0, 7, 3, last, sent_ns, 1]
    elements = list_account_elements(desk.account(OWNER))
    assert key == elements[-11:]
    assert [-1, 0, 0] == elements[10:13], "No sub-account, and no key was ever revoked."
    desk.check()


def test_a_new_key_takes_the_lowest_place_and_an_old_one_keeps_its_own() -> None:
    """[KEY-3]: eight keys at most; new figures for an active key change neither place nor nonce."""
    desk = KeyDesk()
    keys = [make_address(0x40 + number) for number in range(KEY_COUNT + 1)]
    assert [Code.OK] * KEY_COUNT == [desk.authorize(key) for key in keys[:-1]]
    assert Code.KEY_TABLE_FULL == desk.authorize(keys[-1])
    assert Code.OK == desk.send()
    nonce = desk.nonce
    assert Code.OK == desk.authorize(keys[0], scope=2)
    held = desk.account(OWNER).keys[keys[0]]
    assert (1, nonce, 2) == (held.place, held.nonce, held.figures.scope)
    assert Code.OK == desk.revoke(keys[3])
    assert [Step(EventKind.KEY_REVOKED, OWNER, order_id=4)] == desk.state.steps
    assert Code.KEY_NOT_FOUND == desk.revoke(keys[3])
    assert Code.OK == desk.authorize(keys[-1])
    assert 4 == desk.account(OWNER).keys[keys[-1]].place
    desk.check()


@pytest.mark.parametrize(
    "figures",
    [
        {"scope": 0},
        {"scope": 32},
        {"scope": -1},
        {"key_expires_ns": 0},
        {"max_notional_atoms": -1},
        {"max_delta_atoms": (1 << 60) + 1},
        {"max_vega_atoms": -1},
        {"rate_per_minute": -1},
        {"rate_per_minute": 10**6 + 1},
    ],
)
def test_figures_out_of_range_make_no_key(figures: dict[str, int]) -> None:
    """[KEY-3]: and the edges of the ranges do."""
    desk = KeyDesk()
    assert Code.KEY_INVALID == desk.authorize(**figures)
    assert {} == desk.account(OWNER).keys
    edges = {"max_notional_atoms": 1 << 60, "max_delta_atoms": 1 << 60, "max_vega_atoms": 1 << 60}
    assert Code.OK == desk.authorize(**edges, rate_per_minute=10**6, key_expires_ns=desk.time_ns + 10**9)


def test_a_key_is_neither_nobody_nor_the_account() -> None:
    """[KEY-3]: an expiry of just now is none either."""
    desk = KeyDesk()
    assert Code.KEY_INVALID == desk.authorize(bytes(20))
    assert Code.KEY_INVALID == desk.authorize(make_address(OWNER))
    assert Code.OK == desk.authorize(make_address(MAKER)), "Another account's address may be a key."
    desk.time_ns += 10
    assert Code.KEY_INVALID == desk.authorize(key_expires_ns=desk.time_ns + 1_000_000)


@pytest.mark.parametrize(("kind", "fields"), NONE_OF_A_KEY)
def test_a_key_neither_takes_money_nor_makes_keys(kind: CommandKind, fields: dict[str, int]) -> None:
    """[KEY-2]: whatever its scope; and its nonce is not used up."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize()
    assert Code.KEY_SCOPE == desk.ask(kind, OWNER, KEY, Parties(subject=KEY), **fields)
    assert Code.KEY_SCOPE == desk.authorize(make_address(0x41), signer=KEY)
    assert 0 == desk.account(OWNER).keys[KEY].nonce


@pytest.mark.parametrize(("bit", "kind", "fields"), BY_SCOPE)
def test_each_kind_wants_its_bit(bit: int, kind: CommandKind, fields: dict[str, int]) -> None:
    """[KEY-2]: all other bits together do not let it through; the one alone does, to what comes next."""
    desk = KeyDesk()
    parties = Parties(subject=make_address(MAKER), cosigner=make_address(MAKER))
    assert Code.OK == desk.authorize(scope=31 - bit)
    assert Code.KEY_SCOPE == desk.ask(kind, OWNER, KEY, parties, **fields)
    assert Code.OK == desk.authorize(scope=bit)
    desk.ask(kind, OWNER, KEY, parties, **fields)
    assert desk.outcome.code not in (Code.KEY_SCOPE, Code.KEY_UNKNOWN, Code.NONCE_REPLAYED)
    assert desk.nonce == desk.account(OWNER).keys[KEY].nonce


def test_the_order_of_the_checks_of_a_signer() -> None:
    """[KEY-1] [AUTH-3]: expiry of the signature, key, its expiry, its scope, its nonce."""
    desk = KeyDesk()
    parties = Parties(account=make_address(0x20))
    code = desk.apply(CommandKind.CANCEL, KEY, parties, order_id=1, expires_ns=0)
    assert Code.ACCOUNT_NOT_FOUND == code
    assert -1 == desk.outcome.account
    cancel = {"order_id": 1}
    assert Code.SIGNATURE_EXPIRED == desk.ask(CommandKind.CANCEL, OWNER, KEY, **cancel, expires_ns=0)
    assert (OWNER, Code.KEY_UNKNOWN) == (
        desk.outcome.account,
        desk.ask(CommandKind.CANCEL, OWNER, KEY, **cancel),
    )
    ends_ns = desk.time_ns + 3_000_000
    assert Code.OK == desk.authorize(scope=1, key_expires_ns=ends_ns)
    assert Code.KEY_SCOPE == desk.ask(CommandKind.CANCEL, OWNER, KEY, **cancel, nonce=0)
    assert Code.KEY_EXPIRED == desk.ask(CommandKind.CANCEL, OWNER, KEY, **cancel)
    assert ends_ns == desk.time_ns, "The moment itself is too late."
    assert Code.OK == desk.authorize(scope=2)
    assert Code.NONCE_REPLAYED == desk.ask(CommandKind.CANCEL, OWNER, KEY, **cancel, nonce=0)
    own_nonce = desk.account(OWNER).nonce
    assert Code.ORDER_NOT_FOUND == desk.ask(CommandKind.CANCEL, OWNER, KEY, **cancel, nonce=1)
    assert (1, own_nonce) == (desk.account(OWNER).keys[KEY].nonce, desk.account(OWNER).nonce)
    desk.check()


def test_a_revoked_key_comes_back_above_everything_it_signed() -> None:
    """[KEY-3]: retired_nonce is the largest of the revoked keys' nonces, and where a new key begins."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize()
    assert Code.OK == desk.send(nonce=1_000)
    order_id = desk.outcome.order_id
    assert Code.OK == desk.revoke()
    assert Code.KEY_UNKNOWN == desk.send(nonce=1_001)
    assert order_id in desk.state.orders, "What it placed stays."
    assert Code.OK == desk.authorize()
    assert Code.NONCE_REPLAYED == desk.send(nonce=1_000)
    assert Code.OK == desk.authorize(make_address(0x41))
    assert Code.OK == desk.revoke(make_address(0x41))
    assert 1_000 == desk.account(OWNER).retired_nonce
    desk.check()


def test_a_key_sends_so_many_commands_in_a_minute() -> None:
    """[KEY-4]: the window opens with the first; the nonce of one too many is used up all the same."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(rate_per_minute=2)
    assert Code.OK == desk.send()
    begun_ns = desk.time_ns
    assert Code.ORDER_NOT_FOUND == desk.ask(CommandKind.CANCEL, OWNER, KEY, order_id=99)
    assert Code.KEY_RATE == desk.send()
    key = desk.account(OWNER).keys[KEY]
    assert (desk.nonce, begun_ns, 2) == (key.nonce, key.window_start_ns, key.window_count)
    desk.time_ns = begun_ns + 60 * SECOND - 1_000_001
    assert Code.KEY_RATE == desk.send()
    desk.time_ns = begun_ns + 60 * SECOND - 1_000_000
    assert Code.OK == desk.send()
    assert (desk.time_ns, 1) == (key.window_start_ns, key.window_count)
    desk.check()


def test_a_limit_of_notional_counts_what_could_be_held() -> None:
    """[KEY-5] [MARGIN-7]: an order that does not raise W passes even beyond it."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(max_notional_atoms=10 * LOT_ATOMS)
    assert Code.OK == desk.send(lots=6)
    assert Code.KEY_LIMIT == desk.send(lots=5)
    assert Code.OK == desk.send(SELL, lots=10, price_ticks=MARK_TICKS + 1)
    assert Code.OK == desk.send(lots=4)
    assert Code.KEY_LIMIT == desk.send(SELL, lots=1, price_ticks=MARK_TICKS + 1)
    desk.place(OWNER, BUY, lots=20, price_ticks=MARK_TICKS - 5)
    assert Code.OK == desk.send(SELL, lots=20, price_ticks=MARK_TICKS + 1), "30 lots either way are no more."
    assert Code.KEY_LIMIT == desk.send(SELL, lots=1, price_ticks=MARK_TICKS + 1)
    desk.check()


def test_a_limit_of_notional_looks_at_a_replace_without_the_old_order() -> None:
    """[KEY-5] [MATCH-8]."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(max_notional_atoms=10 * LOT_ATOMS)
    order_id = desk.place(OWNER, BUY, lots=10)
    change = {"order_id": order_id, "lots": 10, "price_ticks": MARK_TICKS - 1}
    assert Code.OK == desk.ask(CommandKind.REPLACE, OWNER, KEY, **change)
    larger = change | {"lots": 11}
    assert Code.KEY_LIMIT == desk.ask(CommandKind.REPLACE, OWNER, KEY, **larger)
    assert 10 == desk.order(order_id).lots
    assert Code.OK == desk.ask(CommandKind.REPLACE, OWNER, **larger), "The account itself has no limit."
    desk.check()


def test_a_limit_of_delta_is_looked_at_in_the_orders_direction() -> None:
    """[KEY-5]: D and the open orders that go the same way; the other direction is free."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(max_delta_atoms=10 * LOT_ATOMS)
    desk.trade(OWNER, MAKER, 12)
    assert Code.KEY_LIMIT == desk.send(lots=1, price_ticks=MARK_TICKS - 1)
    assert Code.OK == desk.send(SELL, lots=22, price_ticks=MARK_TICKS + 1)
    assert Code.KEY_LIMIT == desk.send(SELL, lots=1, price_ticks=MARK_TICKS + 1)
    assert Code.OK == desk.ask(CommandKind.CANCEL_ALL, OWNER, instrument=-1, label=0, group=0)
    desk.trade(MAKER, OWNER, 4)
    assert Code.OK == desk.send(lots=2, price_ticks=MARK_TICKS - 1)
    assert Code.KEY_LIMIT == desk.send(lots=1, price_ticks=MARK_TICKS - 1)
    desk.check()


def test_a_limit_of_vega_leaves_a_perpetual_alone() -> None:
    """[KEY-5] [GREEK-1]: a perpetual has no vega, so it moves none."""
    desk = KeyDesk()
    vega, mark = desk.call.vega_atoms, desk.call.mark_atoms // desk.call.tick_atoms
    assert vega > 0
    assert Code.OK == desk.authorize(max_vega_atoms=3 * vega + vega // 2)
    assert Code.OK == desk.send(lots=3, instrument=CALL, price_ticks=mark)
    assert Code.KEY_LIMIT == desk.send(lots=1, instrument=CALL, price_ticks=mark)
    assert Code.OK == desk.send(lots=100)
    assert Code.OK == desk.send(SELL, lots=3, instrument=CALL, price_ticks=mark + 1)
    assert Code.KEY_LIMIT == desk.send(SELL, lots=1, instrument=CALL, price_ticks=mark + 1)
    desk.check()


def test_the_limit_comes_before_margin_and_after_all_else() -> None:
    """[MATCH-1]: KEY_LIMIT directly before INITIAL_MARGIN_INSUFFICIENT."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(max_notional_atoms=1)
    assert Code.KEY_LIMIT == desk.send(lots=1_000_000)
    assert Code.FILL_OR_KILL_UNFILLABLE == desk.send(time_in_force=3)
    assert Code.PRICE_OUTSIDE_BAND == desk.send(price_ticks=1 << 17)
    assert Code.OK == desk.authorize()
    assert Code.INITIAL_MARGIN_INSUFFICIENT == desk.send(lots=1_000_000)
    desk.check()


def test_an_order_that_waits_is_not_measured() -> None:
    """[KEY-5]: neither when it is placed nor when it fires."""
    desk = KeyDesk()
    assert Code.OK == desk.authorize(max_notional_atoms=1)
    trigger = {"reference": 1, "condition": 0, "trigger_atoms": 1}
    assert Code.OK == desk.ask(CommandKind.PLACE_TRIGGER, OWNER, KEY, side=BUY, **trigger)
    desk.tick()
    assert desk.outcome.code == Code.OK
    assert 1 == len(desk.book(BUY))


def test_quotes_beyond_a_limit_all_end() -> None:
    """[KEY-5] [QUOTE-3]: in both directions, and only if one of them was placed."""
    desk = KeyDesk()
    desk.open_group()
    mid, delta = desk.call.mark_atoms // desk.call.tick_atoms, desk.call.delta_atoms
    assert Code.OK == desk.authorize(max_delta_atoms=10 * delta)
    assert Code.OK == desk.quote((CALL, mid - 2, 10, mid + 2, 10))
    assert 2 == len(desk.state.orders)
    assert Code.OK == desk.quote((CALL, mid - 2, 10, mid + 3, 11))
    reasons = [reason for _, reason in desk.endings]
    assert ["REPLACED", "KEY_LIMIT", "KEY_LIMIT"] == reasons
    assert {} == desk.state.orders
    own = Parties(items=((CALL, mid - 2, 12, mid + 2, 0),))
    assert Code.OK == desk.ask(CommandKind.MASS_QUOTE, OWNER, parties=own, group=1)
    assert Code.OK == desk.quote((CALL, mid - 2, 11, mid + 2, 0))
    assert [11] == [order.lots for order in desk.state.orders.values()], "A smaller quote was not placed."
    desk.check()


def test_a_limit_of_notional_ends_quotes_whatever_was_there_before() -> None:
    """[KEY-5] [MARGIN-13]: W with the group's K."""
    desk = KeyDesk()
    desk.open_group()
    mid = desk.call.mark_atoms // desk.call.tick_atoms
    assert Code.OK == desk.authorize(max_notional_atoms=20 * desk.call.notional_atoms)
    assert Code.OK == desk.quote((CALL, mid - 2, 10, mid + 2, 10))
    assert 2 == len(desk.state.orders)
    assert Code.OK == desk.quote((CALL, mid - 3, 11, mid + 2, 10))
    assert {} == desk.state.orders
    desk.check()
