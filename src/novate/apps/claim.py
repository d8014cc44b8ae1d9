"""`novate claim`: a wallet takes its withdrawals out of the vault, knowing only the published files and a
node.
"""

from datetime import UTC, datetime
from pathlib import Path

from eth_account.signers.local import LocalAccount
from rich.console import Console
from rich.table import Table
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception

from novate.apps.claims import Claimable, prove_withdrawals, read_published_batches
from novate.protocol.genesis import Genesis
from novate.protocol.header import BatchHeader
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import discover_manifest
from novate.settlement.keys import load_key

RPC_TIMEOUT_S = 20.0
ATOMS_PER_USDC = 1_000_000
PAID_BEFORE, PAID_NOW, NOT_FINAL = "paid before", "paid now", "not final yet"
WAITS = "waits for the daily limit until"


class ClaimError(RuntimeError):
    """The claim cannot begin; the message says what is missing."""


def find_node(target: str, rpc: str | None) -> str:
    """Return the address of the node to ask: the given one, or the chain that a venue serves beside its
    API.
    """
    if rpc is not None:
        return rpc
    if target.startswith(("http://", "https://")):
        return target.rstrip("/").removesuffix("/published") + "/chain"
    raise ClaimError("name the node of the venue's chain with --rpc")


def open_client(genesis: Genesis, first: BatchHeader, wallet: LocalAccount, node: str) -> SettlementClient:
    """Return a client for the contracts that the genesis file names; `first` is the venue's first batch."""
    web3 = Web3(HTTPProvider(node, request_kwargs={"timeout": RPC_TIMEOUT_S}))
    settlement = "0x" + genesis.settlement.hex()
    manifest = discover_manifest(web3, settlement, genesis.hash, first.previous_state_root)
    return SettlementClient(web3, wallet, manifest)


def settle(client: SettlementClient, claimable: Claimable) -> str:
    """Claim one withdrawal if that is possible now, and return how it stands."""
    withdrawal = claimable.withdrawal
    if not client.is_claimed(withdrawal.batch_number, withdrawal.leaf_index):
        if not client.is_final(withdrawal.batch_number):
            return NOT_FINAL
        client.claim(withdrawal, claimable.proof)
        payable_at_s = client.payable_at_s(withdrawal)
        return describe_wait(payable_at_s) if payable_at_s else PAID_NOW
    payable_at_s = client.payable_at_s(withdrawal)
    if not payable_at_s:
        return PAID_BEFORE
    if client.time_s() < payable_at_s:
        return describe_wait(payable_at_s)
    client.release(withdrawal)
    return PAID_NOW


def describe_wait(payable_at_s: int) -> str:
    """Say when a claim will be paid."""
    return f"{WAITS} {datetime.fromtimestamp(payable_at_s, UTC):%Y-%m-%d %H:%M} UTC"


def run_claim(target: str, key_file: Path, rpc: str | None, console: Console) -> int:
    """Claim every withdrawal of a wallet that can be claimed, print how each stands, and return the exit
    status.

    Errors     ClaimError, KeyFileError, SettlementError, and CheckFailed for files that are not as written.
    """
    wallet = load_key(key_file)
    node = find_node(target, rpc)
    genesis, batches = read_published_batches(target)
    account = bytes.fromhex(wallet.address[2:])
    mine = [each for each in prove_withdrawals(batches) if each.withdrawal.account == account]
    if not mine:
        console.print(f"no published batch holds a withdrawal of {wallet.address}")
        return 0
    try:
        client = open_client(genesis, batches[0].header, wallet, node)
        states = [settle(client, each) for each in mine]
        balance_atoms = client.token_balance(wallet.address)
    except (Web3Exception, OSError, ValueError) as error:
        raise ClaimError(f"the node at {node} did not do its part: {error}") from error
    table = Table("batch", "amount (USDC)", "state", box=None)
    for each, state in zip(mine, states, strict=True):
        amount = f"{each.withdrawal.amount_atoms / ATOMS_PER_USDC:,.6f}"
        table.add_row(str(each.withdrawal.batch_number), amount, state)
    console.print(table)
    console.print(f"{wallet.address} holds {balance_atoms / ATOMS_PER_USDC:,.6f} USDC")
    return 1 if any(state == NOT_FINAL or state.startswith(WAITS) for state in states) else 0
