"""The life of a dollar through web3.py, the same on each chain: deploy, deposit, batch, finality, claim."""

from collections.abc import Callable
from typing import NamedTuple

from eth_account.signers.local import LocalAccount
from web3 import Web3

from novate.protocol.header import BatchHeader
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import deploy_contracts
from novate.settlement.deposits import DepositWatcher, read_deposits
from novate.settlement.manifest import Manifest

GENESIS_HASH = b"\x11" * 32
GENESIS_ROOT = b"\x22" * 32
FINALITY_DELAY_S = 3600
MINTED_ATOMS = 10**12


class Outcome(NamedTuple):
    """What the life cycle left behind."""

    manifest: Manifest
    headers: list[BatchHeader]
    gas: dict[str, int]


def make_header(number: int, time_ns: int, cursor: int, withdrawals_root: bytes = bytes(32)) -> BatchHeader:
    """Return a header of a chain of made-up roots."""
    return BatchHeader(
        number=number,
        previous_state_root=GENESIS_ROOT if number == 1 else (number - 1).to_bytes(32, "big"),
        state_root=number.to_bytes(32, "big"),
        first_sequence=10 * number - 9,
        last_sequence=10 * number,
        journal_head=b"\x33" * 32,
        inbox_cursor=cursor,
        withdrawals_root=withdrawals_root,
        marks_root=bytes(32),
        data_hash=b"\x55" * 32,
        time_ns=time_ns,
    )


def run_life_cycle(
    web3: Web3, operator: LocalAccount, trader: LocalAccount, advance: Callable[[int], None]
) -> Outcome:
    """Run it, with an assertion after each step."""
    manifest = deploy_contracts(
        web3,
        operator,
        operator=operator.address,
        genesis_hash=GENESIS_HASH,
        genesis_state_root=GENESIS_ROOT,
        finality_delay_s=FINALITY_DELAY_S,
    )
    venue = SettlementClient(web3, operator, manifest)
    user = SettlementClient(web3, trader, manifest)
    venue.mint(trader.address, MINTED_ATOMS)
    gas = {"deposit": user.deposit(trader.address, 1_000_000)["gasUsed"]}
    gas["deposit again"] = user.deposit(operator.address, 2_000_000)["gasUsed"]
    check_deposits(venue, [1_000_000, 2_000_000])

    account = bytes.fromhex(trader.address[2:])
    withdrawals = [Withdrawal(1, index, account, 100 + index) for index in range(5)]
    leaves = [hash_withdrawal(withdrawal) for withdrawal in withdrawals]
    now_ns = web3.eth.get_block("latest")["timestamp"] * 10**9
    headers = [make_header(1, now_ns, 1, compute_withdrawals_root(leaves)), make_header(2, now_ns, 2)]
    for name, header in zip(("submit", "submit again"), headers, strict=True):
        receipt = venue.post_header(header)
        assert receipt is not None
        gas[name] = receipt["gasUsed"]
        assert venue.post_header(header) is None
        assert header.hash() == venue.header_hash(header.number)
    assert 2 == venue.batch_count()

    assert not venue.is_final(1)
    advance(FINALITY_DELAY_S)
    assert venue.is_final(1)
    for index, withdrawal in enumerate(withdrawals):
        claimed = user.claim(withdrawal, prove_withdrawal(leaves, index))
        assert claimed is not None
        gas.setdefault("claim", claimed["gasUsed"])
        assert user.claim(withdrawal, prove_withdrawal(leaves, index)) is None
    paid = sum(withdrawal.amount_atoms for withdrawal in withdrawals)
    assert 3_000_000 - paid == venue.vault_balance()
    assert MINTED_ATOMS - 3_000_000 + paid == venue.token_balance(trader.address)
    return Outcome(manifest, headers, gas)


def check_deposits(venue: SettlementClient, amounts: list[int]) -> None:
    """Deposits come in order, once, after their confirmations."""
    deposits = read_deposits(venue, 1, 0)
    assert list(enumerate(amounts, 1)) == [(deposit.cursor, deposit.amount_atoms) for deposit in deposits]
    assert amounts[1:] == [deposit.amount_atoms for deposit in read_deposits(venue, 2, 0)]
    head = venue.web3.eth.block_number
    blocks_after_last = head - deposits[-1].block_number
    watcher = DepositWatcher(venue, 0, blocks_after_last + 1)
    assert deposits[:-1] == list(watcher.poll())
    assert [] == list(watcher.poll())
    assert len(amounts) - 1 == watcher.cursor
