"""The deposit watcher: in order, each once, from wherever the caller stands, and loud about a gap."""

from collections.abc import Iterator

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3

from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient, SettlementError
from novate.settlement.deployment import deploy_contracts
from novate.settlement.deposits import DepositWatcher, read_deposits
from tests.contracts.lifecycle import FINALITY_DELAY_S, GENESIS_HASH, GENESIS_ROOT, MINTED_ATOMS
from tests.contracts.test_embedded_chain import OPERATOR, TRADER, Clock, open_chain


@pytest.fixture
def client() -> Iterator[SettlementClient]:
    """A trader with tokens in front of a new vault."""
    chain = open_chain(None, Clock())
    web3 = Web3(EmbeddedProvider(chain))
    operator: LocalAccount = OPERATOR
    manifest = deploy_contracts(
        web3,
        operator,
        operator=operator.address,
        genesis_hash=GENESIS_HASH,
        genesis_state_root=GENESIS_ROOT,
        finality_delay_s=FINALITY_DELAY_S,
    )
    SettlementClient(web3, operator, manifest).mint(TRADER.address, MINTED_ATOMS)
    yield SettlementClient(web3, TRADER, manifest)
    chain.close()


def test_deposits_arrive_once_and_in_order(client: SettlementClient) -> None:
    """Polls between deposits hand over exactly the new ones."""
    watcher = DepositWatcher(client, 0, 0)
    seen = []
    for amount in (5, 6, 7):
        client.deposit(TRADER.address, amount)
        seen += [(deposit.cursor, deposit.amount_atoms) for deposit in watcher.poll()]
        assert [] == list(watcher.poll())
    assert [(1, 5), (2, 6), (3, 7)] == seen


def test_an_interrupted_poll_goes_on(client: SettlementClient) -> None:
    """A caller that stops in the middle gets the rest at the next poll, and nothing twice."""
    for amount in (5, 6, 7):
        client.deposit(TRADER.address, amount)
    watcher = DepositWatcher(client, 0, 0)
    assert 5 == next(watcher.poll()).amount_atoms
    assert [6, 7] == [deposit.amount_atoms for deposit in watcher.poll()]


def test_a_restart_starts_after_its_cursor(client: SettlementClient) -> None:
    """A watcher opened at a cursor hands over what follows; one beyond the chain waits."""
    for amount in (5, 6):
        client.deposit(TRADER.address, amount)
    assert [2] == [deposit.cursor for deposit in read_deposits(client, 2, 0)]
    assert [] == read_deposits(client, 3, 0)
    assert [] == read_deposits(client, 1, 1000)


def test_a_gap_is_an_error(client: SettlementClient) -> None:
    """A chain that forgot a deposit stops the watcher instead of crediting out of order [SETTLE-8]."""
    first = client.deposit(TRADER.address, 5)
    watcher = DepositWatcher(client, 0, 0)
    client.deposit(TRADER.address, 6)
    # As if the node's logs began after the first deposit.
    watcher.skip_to_block(first["blockNumber"] + 1)
    with pytest.raises(SettlementError, match="deposit 1 is missing before 2"):
        list(watcher.poll())
    with pytest.raises(ValueError, match="Condition failed"):
        DepositWatcher(client, -1, 0)
    with pytest.raises(SettlementError, match="at most"):
        client.read_deposit_logs(0, 10_000)
