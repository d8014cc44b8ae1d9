"""The life of a dollar on a node that reorganises in the middle, and on the embedded chain: the same end."""

from collections.abc import Callable
from pathlib import Path

from web3 import Web3

from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import deploy_contracts
from novate.settlement.deposit_watch import DepositWatch, watch_inbox
from novate.settlement.endpoints import Endpoint, WitnessedChain, connect_provider, open_endpoints
from novate.settlement.fees import FeePolicy
from novate.settlement.header_contract import HeaderContract
from novate.settlement.posting import Poster
from novate.settlement.posting_record import PostingRecord
from tests.contracts.anvil_node import CHAIN_ID, run_anvil
from tests.contracts.lifecycle import (
    FINALITY_DELAY_S,
    GENESIS_HASH,
    GENESIS_ROOT,
    MINTED_ATOMS,
    make_header,
)
from tests.contracts.posting_world import OPERATOR, TRADER, ListedBatches
from tests.contracts.test_embedded_chain import Clock, open_chain

DEPOSITED_ATOMS = 1_000_000
PAID_ATOMS = (300, 700)


def live(
    web3: Web3,
    chain: WitnessedChain,
    record: Path,
    advance: Callable[[int], None],
    mine: Callable[[int], None],
    reorganise: Callable[[int], None],
) -> tuple[int, int]:
    """Deposit, credit, post, lose the batch, post again, finalise, claim, lose the claim, claim again.

    Return what the trader and the vault hold at the end.
    """
    options = {"genesis_hash": GENESIS_HASH, "genesis_state_root": GENESIS_ROOT}
    manifest = deploy_contracts(
        web3, OPERATOR, operator=OPERATOR.address, finality_delay_s=FINALITY_DELAY_S, **options
    )
    venue = SettlementClient(web3, OPERATOR, manifest)
    user = SettlementClient(web3, TRADER, manifest)
    venue.mint(TRADER.address, MINTED_ATOMS)
    user.deposit(TRADER.address, DEPOSITED_ATOMS)
    mine(chain.confirmations)
    watcher = DepositWatch(chain, watch_inbox(manifest.inbox), 0, manifest.block_number)
    credited = watcher.poll()
    assert [DEPOSITED_ATOMS] == [deposit.amount_atoms for deposit in credited]
    account = bytes.fromhex(TRADER.address[2:])
    owed = [Withdrawal(1, index, account, amount) for index, amount in enumerate(PAID_ATOMS)]
    leaves = [hash_withdrawal(withdrawal) for withdrawal in owed]
    time_ns = web3.eth.get_block("latest")["timestamp"] * 10**9
    source = ListedBatches([make_header(1, time_ns, 1, compute_withdrawals_root(leaves))])
    contract = HeaderContract(manifest.settlement)
    poster = Poster(chain, OPERATOR, contract, source, PostingRecord(record), FeePolicy())
    poster.step(1)
    mine(1)
    reorganise(2)
    for _ in range(10):
        if poster.step(1).confirmed == 1:
            break
        mine(1)
    assert [] == watcher.poll()
    advance(FINALITY_DELAY_S)
    for index, withdrawal in enumerate(owed):
        assert user.claim(withdrawal, prove_withdrawal(leaves, index)) is not None
    reorganise(1)
    for index, withdrawal in enumerate(owed):
        user.claim(withdrawal, prove_withdrawal(leaves, index))
    return venue.token_balance(TRADER.address), venue.vault_balance()


def leave(count: int) -> None:
    """Do nothing: the embedded chain mines by itself and never reorganises."""


def test_the_life_cycle_survives_reorganisations(tmp_path: Path) -> None:
    """A reorganisation that takes a batch back and one that takes a claim back change nothing at the end."""
    with run_anvil() as node:
        node.fund(OPERATOR.address, TRADER.address)
        chain = WitnessedChain(open_endpoints([node.address, node.address]), CHAIN_ID, 3)

        def advance(seconds: int) -> None:
            node.ask("evm_increaseTime", seconds)
            node.mine()

        on_node = live(
            node.web3,
            chain,
            tmp_path / "record.json",
            advance,
            node.mine,
            lambda depth: node.ask("anvil_reorg", depth, []),
        )
    clock = Clock()
    provider = EmbeddedProvider(open_chain(None, clock))
    chain = WitnessedChain([Endpoint("embedded", connect_provider(provider))], CHAIN_ID, 0)
    in_process = live(Web3(provider), chain, tmp_path / "embedded", clock.advance, leave, leave)
    paid = sum(PAID_ATOMS)
    assert (MINTED_ATOMS - DEPOSITED_ATOMS + paid, DEPOSITED_ATOMS - paid) == on_node == in_process
