"""Any sequence of deposits, batches, claims and misbehaving tokens leaves the vault with what it owes."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from novate.protocol.withdrawals import Withdrawal
from tests.contracts.harness import DEPOSITOR, OPERATOR, STRANGER, Reverted, World
from tests.contracts.test_vault_contract import (
    HONEST,
    MOVES_NOTHING,
    REENTERS,
    RETURNS_FALSE,
    REVERTS,
    TAKES_FEE,
    ZERO,
)

ACCOUNTS = (DEPOSITOR, STRANGER, OPERATOR)


class VaultMachine(RuleBasedStateMachine):
    """The model is three numbers: credited, owed by posted batches, and paid."""

    @initialize()
    def open(self) -> None:
        self.world = World(token="HostileToken")
        self.mode = HONEST
        self.credited = 0
        self.paid = 0
        self.batches: dict[int, list[Withdrawal]] = {}
        self.posted_at_s: dict[int, int] = {}
        self.claimed: set[tuple[int, int]] = set()

    @property
    def owed(self) -> int:
        return sum(item.amount_atoms for batch in self.batches.values() for item in batch)

    @rule(mode=st.sampled_from([HONEST, RETURNS_FALSE, TAKES_FEE, REENTERS, MOVES_NOTHING, REVERTS]))
    def change_token(self, mode: int) -> None:
        payload = self.world.encode_call(self.world.vault, "depositFor", STRANGER, 1)
        target = self.world.vault.address if mode == REENTERS else ZERO
        self.world.call(STRANGER, self.world.token, "setMode", mode, target, payload)
        self.mode = mode

    @rule(account=st.sampled_from(ACCOUNTS), amount=st.integers(1, 10_000))
    def deposit(self, account: str, amount: int) -> None:
        before = self.world.vault_balance()
        cursor = self.world.view(self.world.vault, "depositCursor")
        try:
            self.world.deposit(amount, account)
        except Reverted:
            assert self.mode in (RETURNS_FALSE, MOVES_NOTHING, REVERTS)
            assert cursor == self.world.view(self.world.vault, "depositCursor")
            return
        received = self.world.vault_balance() - before
        assert received == self.world.view(self.world.vault, "depositAmount", cursor + 1)
        self.credited += received

    @rule(shares=st.lists(st.integers(0, 100), min_size=0, max_size=5), account=st.sampled_from(ACCOUNTS))
    def post(self, shares: list[int], account: str) -> None:
        # An honest operator never owes more than was credited.
        available = self.credited - self.owed
        amounts = [available * share // (100 * len(shares)) for share in shares]
        number = len(self.batches) + 1
        self.batches[number] = self.world.owe(*amounts, account=account)
        self.posted_at_s[number] = self.world.now_s

    @rule(seconds=st.integers(1, 900))
    def wait(self, seconds: int) -> None:
        self.world.now_s += seconds

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([number for number, batch in self.batches.items() if batch]))
        index = data.draw(st.integers(0, len(self.batches[number]) - 1))
        amount = self.batches[number][index].amount_atoms
        is_final = self.world.now_s >= self.posted_at_s[number] + 600
        try:
            self.world.claim(self.batches[number], index)
        except Reverted:
            refused = self.mode in (RETURNS_FALSE, MOVES_NOTHING, REVERTS)
            assert not is_final or (number, index) in self.claimed or refused
            return
        assert is_final
        assert (number, index) not in self.claimed
        self.claimed.add((number, index))
        self.paid += amount

    @precondition(lambda self: any(self.batches.values()))
    @rule(data=st.data(), excess=st.integers(1, 1000))
    def claim_too_much(self, data: st.DataObject, excess: int) -> None:
        number = data.draw(st.sampled_from([number for number, batch in self.batches.items() if batch]))
        _, index, account, amount, proof = self.world.claim_arguments(self.batches[number], 0)
        try:
            self.world.call(
                STRANGER, self.world.vault, "claim", number, index, account, amount + excess, proof
            )
        except Reverted:
            return
        raise AssertionError("A claim above the owed amount was paid.")

    @invariant()
    def vault_holds_what_it_owes(self) -> None:
        balance = self.world.vault_balance()
        assert balance == self.credited - self.paid
        assert balance >= self.owed - self.paid >= 0


VaultMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestVault = VaultMachine.TestCase
