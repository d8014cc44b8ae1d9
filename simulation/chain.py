"""The chain as a venue sees it from outside: blocks come and go, and sometimes nobody answers.

Real contracts on the real embedded chain, which is built again without its last blocks when it reorganises.
What was in those blocks waits and is mined again, in any order that nonces allow, or is lost.
"""

import random
from collections.abc import Callable
from typing import Any

from eth_account.signers.local import LocalAccount
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from novate.apps.claims import Claimable
from novate.protocol.transaction import TransactionError, decode_transaction
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import Deposit
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.evm import ExecutionRejected
from simulation.genesis import CHAIN_ID, START_S, deploy, get_address
from simulation.vault import (
    CLAIM_GAS,
    DEPOSIT_GAS,
    encode_claim,
    encode_deposit,
    is_claimed,
    list_deposits,
    read_balance,
    read_header_hash,
    sign_call,
)


class Chain(JSONBaseProvider):
    """The chain of one seed, and a web3 provider for it; it outlives every process of the venue.

    `depth_max` is the promise that confirmations rest on: no reorganisation is deeper.
    """

    def __init__(self, chance: random.Random, clock_s: Callable[[], float], depth_max: int) -> None:
        super().__init__()
        self.chance = chance
        self.clock_s = clock_s
        self.depth_max = depth_max
        self.manifest, self.founding = deploy()
        self.sent: list[tuple[bytes, int]] = []
        self.final_count = 0
        self.waiting: list[bytes] = []
        self.reachable = True
        self.reorganisation_count = 0
        self.build([])

    def build(self, sent: list[tuple[bytes, int]]) -> None:
        """Make the chain that holds these transactions and no others."""
        self.moment_s = START_S
        self.inner = EmbeddedChain(None, CHAIN_ID, lambda: self.moment_s)
        self.provider = EmbeddedProvider(self.inner)
        for raw in self.founding:
            self.inner.send_raw_transaction(raw)
        self.sent = []
        for raw, moment_s in sent:
            self.mine(raw, moment_s)

    def mine(self, raw: bytes, moment_s: int) -> None:
        """Put a transaction into a block of its own."""
        self.moment_s = moment_s
        self.inner.send_raw_transaction(raw)
        self.sent.append((raw, moment_s))
        self.settle()

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer as a node would, or not at all."""
        if not self.reachable:
            raise ConnectionError("the simulated node does not answer")
        self.moment_s = int(self.clock_s())
        known = len(self.inner.blocks)
        response = self.provider.make_request(method, params)
        if len(self.inner.blocks) > known:
            block = self.inner.blocks[-1]
            self.sent.append((block.transactions[0].raw, block.timestamp_s))
            self.settle()
        return response

    def measure(self) -> tuple[int, bytes, int]:
        """The extent of the log, which the publisher's HEAD names."""
        return self.inner.measure()

    def deposit(self, wallet: LocalAccount, account: bytes, amount_atoms: int) -> None:
        """A wallet pays into the vault for an account, its own or another."""
        self.send(wallet, encode_deposit(account, amount_atoms), DEPOSIT_GAS)

    def claim(self, wallet: LocalAccount, claimable: Claimable) -> None:
        """A wallet takes out what a batch owes it, unless it did before."""
        if not is_claimed(self.inner, self.manifest.vault, claimable.withdrawal):
            self.send(wallet, encode_claim(*claimable), CLAIM_GAS)

    def send(self, wallet: LocalAccount, data: bytes, gas: int) -> None:
        """Mine a wallet's call of the vault."""
        nonce = self.inner.nonce(get_address(wallet))
        raw = sign_call(wallet, nonce, CHAIN_ID, self.manifest.vault, data, gas)
        self.mine(raw, int(self.clock_s()))

    def read_balance(self, holder: bytes) -> int:
        """The tokens that an address holds."""
        return read_balance(self.inner, self.manifest.token, holder)

    def settle(self) -> None:
        """What has had enough blocks on it once is never forgotten."""
        self.final_count = max(self.final_count, len(self.sent) - self.depth_max)

    def reorganise(self) -> int:
        """Forget the last blocks and go on from there; returns how many."""
        depth = min(self.chance.randint(1, self.depth_max), len(self.sent) - self.final_count)
        if depth == 0:
            return 0
        dropped = [raw for raw, _ in self.sent[-depth:]]
        self.build(self.sent[:-depth])
        self.chance.shuffle(dropped)
        self.waiting += [raw for raw in dropped if self.chance.random() < 0.7]
        self.reorganisation_count += 1
        return depth

    def mine_waiting(self, everything: bool = False) -> None:
        """Mine what waits, as far as its nonces fit; what never will is dropped."""
        left = list(self.waiting)
        self.waiting = []
        progress = True
        while left and progress:
            progress, later = False, []
            for raw in left:
                transaction = decode_transaction(raw)
                nonce = self.inner.nonce(transaction.sender)
                if transaction.nonce < nonce:
                    continue
                if transaction.nonce > nonce or (not everything and self.chance.random() < 0.3):
                    later.append(raw)
                    continue
                try:
                    self.mine(raw, int(self.clock_s()))
                except (TransactionError, ExecutionRejected):
                    continue
                progress = True
            left = later
        self.waiting = [] if everything else left

    def read_header_hash(self, number: int) -> bytes:
        """The hash of a batch's header."""
        return read_header_hash(self.inner, self.manifest.settlement, number)

    def list_deposits(self) -> list[Deposit]:
        """Every deposit that stands on the chain now, by cursor."""
        return list_deposits(self.inner, self.manifest.inbox)
