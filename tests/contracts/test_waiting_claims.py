"""`novate claim` where the vault limits what leaves in a day: a large claim waits, and is paid later."""

from web3 import Web3

from novate.apps.claim import NOT_FINAL, PAID_BEFORE, PAID_NOW, WAITS, settle
from novate.apps.claims import Claimable
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import DeploymentOptions, deploy_contracts
from tests.contracts.lifecycle import FINALITY_DELAY_S, GENESIS_HASH, GENESIS_ROOT, make_header
from tests.contracts.test_embedded_chain import OPERATOR, Clock, open_chain

DAY_S = 86_400


def test_a_large_claim_waits_and_is_paid() -> None:
    """Each visit to the vault does what can be done then, and nothing twice [SETTLE-20]."""
    clock = Clock()
    chain = open_chain(None, clock)
    web3 = Web3(EmbeddedProvider(chain))
    manifest = deploy_contracts(
        web3,
        OPERATOR,
        operator=OPERATOR.address,
        genesis_hash=GENESIS_HASH,
        genesis_state_root=GENESIS_ROOT,
        finality_delay_s=FINALITY_DELAY_S,
        options=DeploymentOptions(day_limits=(10,)),
    )
    client = SettlementClient(web3, OPERATOR, manifest)
    client.mint(OPERATOR.address, 1_000)
    client.deposit(OPERATOR.address, 1_000)
    owed = [
        Withdrawal(1, i, bytes.fromhex(OPERATOR.address[2:]), amount) for i, amount in enumerate((60, 500))
    ]
    leaves = [hash_withdrawal(each) for each in owed]
    client.post_header(make_header(1, clock.now_s * 10**9, 1, compute_withdrawals_root(leaves)))
    small, large = (Claimable(each, prove_withdrawal(leaves, i)) for i, each in enumerate(owed))
    assert NOT_FINAL == settle(client, small)
    clock.advance(FINALITY_DELAY_S)
    assert PAID_NOW == settle(client, small)
    assert settle(client, large).startswith(WAITS)
    assert settle(client, large).startswith(WAITS)
    assert 60 == client.token_balance(OPERATOR.address)
    clock.advance(3 * DAY_S)
    client.mint(OPERATOR.address, 0)
    assert PAID_NOW == settle(client, large)
    assert [PAID_BEFORE] * 2 == [settle(client, each) for each in (small, large)]
    assert 560 == client.token_balance(OPERATOR.address)
    chain.close()
