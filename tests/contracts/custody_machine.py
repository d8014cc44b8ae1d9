"""A random life of the vault on revm beside a model of a few numbers: two misbehaving tokens, batches, claims
that wait, pauses, boxes, the freeze, and strangers at every door.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from novate.protocol.withdrawals import Withdrawal, hash_withdrawal
from tests.contracts.harness import (
    DEPLOYER,
    DEPOSITOR,
    ESCAPE,
    FINALITY_DELAY_S,
    GUARDIAN,
    OPERATOR,
    STRANGER,
    ZERO,
    Config,
    Contract,
    Reverted,
    World,
)

HONEST, RETURNS_FALSE, TAKES_FEE, REENTERS, MOVES_NOTHING, REVERTS, MOVES_TWICE = range(7)
REFUSING = (RETURNS_FALSE, MOVES_NOTHING, REVERTS)
ACCOUNTS = (DEPOSITOR, STRANGER, OPERATOR)
DAY_S = 86_400
DAY_LIMIT = 3_000
WAIT_S = 3 * DAY_S
PAUSE_INTERVAL_S = 30 * DAY_S
SPANS_S = (1, 300, FINALITY_DELAY_S, 6 * 3600, DAY_S, WAIT_S)
Key = tuple[int, int]


class CustodyMachine(RuleBasedStateMachine):
    """The model: per asset what was credited, paid and escaped; per withdrawal if it waits or is paid."""

    level = "gas"
    calls = 0

    @initialize()
    def open(self) -> None:
        config = Config(escape=ESCAPE, guardian=GUARDIAN, day_limit=DAY_LIMIT, other_tokens=("HostileToken",))
        self.world = World(self.level, token="HostileToken", config=config)
        self.modes = [HONEST, HONEST]
        self.credited, self.paid, self.escaped = [0, 0], [0, 0], [0, 0]
        self.batches: list[list[Withdrawal]] = []
        self.posted_at_s: list[int] = []
        self.waiting: dict[Key, int] = {}
        self.done: set[Key] = set()
        self.paused_at_s, self.paused_until_s = -PAUSE_INTERVAL_S, 0
        self.last_word: int | None = None

    def teardown(self) -> None:
        """Whatever happened, once tokens are honest and time has passed every final withdrawal is paid."""
        if not hasattr(self, "world"):
            return
        for asset in (0, 1):
            self.set_mode(asset, HONEST)
        self.world.now_s += FINALITY_DELAY_S + WAIT_S
        for key in self.list_owed():
            if key not in self.done and key not in self.waiting:
                self.send_claim(key)
        self.world.now_s += WAIT_S
        for key in list(self.waiting):
            self.send_release(key)
        assert set(self.list_owed()) <= self.done
        self.holds_what_it_owes()
        type(self).calls += self.world.calls

    def list_owed(self) -> list[Key]:
        """The withdrawals of batches that are final or can become so."""
        last = len(self.batches) if self.last_word is None else self.last_word
        return [(n, i) for n, batch in enumerate(self.batches[:last], 1) for i in range(len(batch))]

    def is_final(self, number: int) -> bool:
        if self.last_word is not None:
            return number <= self.last_word
        return self.world.now_s >= self.posted_at_s[number - 1] + FINALITY_DELAY_S

    def find(self, key: Key) -> Withdrawal:
        return self.batches[key[0] - 1][key[1]]

    def attempt(self, sender: str, contract: Contract, name: str, *arguments: Any) -> str | None:
        """Return why a call was refused, or None."""
        try:
            self.world.call(sender, contract, name, *arguments)
        except Reverted as error:
            return str(error)
        return None

    def set_mode(self, asset: int, mode: int) -> None:
        payload = self.world.encode_call(self.world.vault, "depositFor", asset, STRANGER, 1)
        target = self.world.vault.address if mode == REENTERS else ZERO
        self.world.call(STRANGER, self.world.tokens[asset], "setMode", mode, target, payload)
        self.modes[asset] = mode

    @rule(
        asset=st.sampled_from([0, 1]),
        mode=st.sampled_from([HONEST, HONEST, RETURNS_FALSE, TAKES_FEE, REENTERS, MOVES_NOTHING, REVERTS]),
    )
    def change_token(self, asset: int, mode: int) -> None:
        self.set_mode(asset, mode)

    @rule(
        asset=st.sampled_from([0, 1]),
        account=st.sampled_from(ACCOUNTS),
        amount=st.integers(1, 10_000),
        through_box=st.booleans(),
    )
    def deposit(self, asset: int, account: str, amount: int, through_box: bool) -> None:
        world, token = self.world, self.world.tokens[asset]
        held, count = self.read_balance(asset), world.view(world.inbox, "count")
        if through_box:
            place = world.view(world.boxes, "boxOf", account)
            world.call(DEPLOYER, token, "mint", place, amount)
            refusal = self.attempt(STRANGER, world.boxes, "collect", asset, account)
        else:
            world.call(DEPLOYER, token, "mint", account, amount)
            refusal = self.attempt(account, world.vault, "deposit", asset, amount)
        received = self.read_balance(asset) - held
        if refusal is not None:
            # A fee of a tiny box may leave nothing to deposit.
            assert self.last_word is not None or self.modes[asset] in (*REFUSING, TAKES_FEE), refusal
            assert (0, count) == (received, world.view(world.inbox, "count"))
            return
        assert self.last_word is None
        assert (received, count + 1) == (world.entered[-1], world.view(world.inbox, "count"))
        self.credited[asset] += received

    def read_balance(self, asset: int) -> int:
        return int(self.world.view(self.world.tokens[asset], "balanceOf", self.world.vault.address))

    @rule(
        shares=st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 100)), max_size=5),
        account=st.sampled_from(ACCOUNTS),
    )
    def post(self, shares: list[tuple[int, int]], account: str) -> None:
        # An honest operator never owes more than was credited.
        number = len(self.batches) + 1
        owed = [0, 0]
        for batch in self.batches:
            for item in batch:
                owed[item.asset] += item.amount_atoms
        spare = [credited - already for credited, already in zip(self.credited, owed, strict=True)]
        batch = [
            Withdrawal(
                number, i, bytes.fromhex(account[2:]), spare[asset] * share // (100 * len(shares)), asset
            )
            for i, (asset, share) in enumerate(shares)
        ]
        refusal = self.attempt(
            OPERATOR, self.world.settlement, "submit", tuple(self.world.next_header(batch))
        )
        assert (refusal is None) == (self.last_word is None)
        if refusal is None:
            self.batches.append(batch)
            self.posted_at_s.append(self.world.now_s)

    @rule(seconds=st.sampled_from(SPANS_S))
    def wait(self, seconds: int) -> None:
        self.world.now_s += seconds

    def send_claim(self, key: Key) -> str | None:
        """Claim, and check the outcome against the model."""
        item = self.find(key)
        held = self.read_balance(item.asset)
        arguments = self.world.claim_arguments(self.batches[key[0] - 1], key[1])
        refusal = self.attempt(STRANGER, self.world.vault, "claim", *arguments)
        paused = self.world.now_s < self.paused_until_s
        allowed = self.is_final(key[0]) and not paused and key not in self.done and key not in self.waiting
        if refusal is not None:
            assert not allowed or self.modes[item.asset] in REFUSING, refusal
            return refusal
        assert allowed
        payable_s = self.world.view(self.world.vault, "payableAt", hash_withdrawal(item))
        if payable_s:
            assert self.world.now_s < payable_s <= self.world.now_s + WAIT_S
            assert held == self.read_balance(item.asset)
            self.waiting[key] = payable_s
        else:
            assert held - item.amount_atoms == self.read_balance(item.asset)
            self.done.add(key)
            self.paid[item.asset] += item.amount_atoms
        return None

    def send_release(self, key: Key) -> None:
        """Release, and check the outcome against the model."""
        number, index, account, amount, asset = self.find(key)
        arguments = (number, index, asset, "0x" + account.hex(), amount)
        refusal = self.attempt(STRANGER, self.world.vault, "release", *arguments)
        payable_s = self.waiting.get(key)
        allowed = payable_s is not None and self.world.now_s >= max(payable_s, self.paused_until_s)
        if refusal is not None:
            assert not allowed or self.modes[asset] in REFUSING, refusal
            return
        assert allowed
        del self.waiting[key]
        self.done.add(key)
        self.paid[asset] += amount

    def draw_key(self, data: st.DataObject) -> Key:
        keys = [(n, i) for n, batch in enumerate(self.batches, 1) for i in range(len(batch))]
        return data.draw(st.sampled_from(keys))

    @precondition(lambda self: any(self.batches))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        self.send_claim(self.draw_key(data))

    @precondition(lambda self: any(self.batches))
    @rule(data=st.data())
    def claim_again_at_once(self, data: st.DataObject) -> None:
        key = self.draw_key(data)
        if self.send_claim(key) is None:
            assert "already claimed" == self.send_claim(key)

    @precondition(lambda self: any(self.batches))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.send_release(self.draw_key(data))

    @precondition(lambda self: any(self.batches))
    @rule(data=st.data(), field=st.integers(0, 4), change=st.integers(1, 3))
    def forge(self, data: st.DataObject, field: int, change: int) -> None:
        """A claim or a release with one field changed."""
        key = self.draw_key(data)
        arguments = list(self.world.claim_arguments(self.batches[key[0] - 1], key[1]))
        held = [self.read_balance(asset) for asset in (0, 1)]
        if field == 3:
            arguments[3] = ACCOUNTS[(ACCOUNTS.index(str(arguments[3])) + change % 2 + 1) % 3]
        else:
            arguments[field] = int(str(arguments[field])) + change
        other = (arguments[0], arguments[1])
        # Another index of the same batch may be a lawful claim only if everything else is its own.
        assert self.attempt(STRANGER, self.world.vault, "claim", *arguments) is not None, other
        assert self.attempt(STRANGER, self.world.vault, "release", *arguments[:5]) is not None, other
        assert held == [self.read_balance(asset) for asset in (0, 1)]

    @rule(sender=st.sampled_from([GUARDIAN, STRANGER, OPERATOR]))
    def pause(self, sender: str) -> None:
        refusal = self.attempt(sender, self.world.vault, "pause")
        now_s = self.world.now_s
        assert (refusal is None) == (sender == GUARDIAN and now_s >= self.paused_at_s + PAUSE_INTERVAL_S)
        if refusal is None:
            self.paused_at_s, self.paused_until_s = now_s, now_s + WAIT_S

    @rule(sender=st.sampled_from([GUARDIAN, STRANGER]))
    def unpause(self, sender: str) -> None:
        refusal = self.attempt(sender, self.world.vault, "unpause")
        assert (refusal is None) == (sender == GUARDIAN)
        if refusal is None:
            self.paused_until_s = 0

    @rule(sender=st.sampled_from([STRANGER, OPERATOR, GUARDIAN]), amount=st.integers(1, 100))
    def intrude(self, sender: str, amount: int) -> None:
        """Nobody passes the doors of other contracts."""
        world = self.world
        for contract, name, arguments in (
            (world.vault, "payEscape", (0, sender, amount)),
            (world.settlement, "freeze", ()),
            (world.inbox, "append", (1, sender, 0, amount, b"")),
            (world.inbox, "append", (2, sender, 0, amount, b"")),
            (world.settlement, "announceRungs", (ZERO, ZERO)),
        ):
            assert self.attempt(sender, contract, name, *arguments) is not None, name

    @precondition(lambda self: self.last_word is None and len(self.batches) > 3)
    @rule(luck=st.integers(0, 3))
    def freeze(self, luck: int) -> None:
        assert "not frozen" == self.attempt(ESCAPE, self.world.vault, "payEscape", 0, STRANGER, 0)
        if luck:
            return
        final = [n for n in range(1, len(self.batches) + 1) if self.is_final(n)]
        expected = max(final, default=0)
        assert expected == self.world.call(ESCAPE, self.world.settlement, "freeze")
        self.last_word = expected

    @precondition(lambda self: self.last_word is not None)
    @rule(asset=st.sampled_from([0, 1]), share=st.integers(0, 100), account=st.sampled_from(ACCOUNTS))
    def escape(self, asset: int, share: int, account: str) -> None:
        """Escape pays from what no final withdrawal is owed, paused or not."""
        owed = sum(self.find(key).amount_atoms for key in self.list_owed() if self.find(key).asset == asset)
        spare = self.credited[asset] - self.escaped[asset] - max(owed, self.paid[asset])
        amount = spare * share // 100
        refusal = self.attempt(ESCAPE, self.world.vault, "payEscape", asset, account, amount)
        if refusal is None:
            self.escaped[asset] += amount
        else:
            assert self.modes[asset] in REFUSING, refusal

    @invariant()
    def holds_what_it_owes(self) -> None:
        if not hasattr(self, "world"):
            return
        for asset in (0, 1):
            balance = self.read_balance(asset)
            assert balance == self.credited[asset] - self.paid[asset] - self.escaped[asset]
            owed = sum(
                self.find(key).amount_atoms for key in self.list_owed() if self.find(key).asset == asset
            )
            assert balance >= owed - self.paid[asset] >= 0
            reserved = sum(
                self.find(key).amount_atoms for key in self.waiting if self.find(key).asset == asset
            )
            assert reserved == self.world.view(self.world.vault, "reservedAtoms", asset)
            assert self.paid[asset] == self.world.view(self.world.vault, "paidAtoms", asset)
