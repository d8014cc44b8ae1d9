"""Users' money on the embedded chain: test tokens are minted, and each user signs an approval and a deposit.

Gas is free on the embedded chain, so users need no ether. Keys live in memory only.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from coincurve import PrivateKey
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from novate.apps.venue import Venue
from novate.protocol.signing import compute_address
from novate.settlement.client import SettlementClient

CREDIT_POLL_S = 0.05
CREDIT_TIMEOUT_S = 60.0
Progress = Callable[[int, int], None]


class Grant(NamedTuple):
    """Money for one user, who deposits it from a wallet of their own."""

    key: PrivateKey
    amount_atoms: int


class FundingError(RuntimeError):
    """A deposit was made on the chain and not credited in time."""


def make_account(key: PrivateKey) -> LocalAccount:
    """Return the wallet of a key."""
    account: LocalAccount = Account.from_key(key.secret)
    return account


def deposit_grants(venue: Venue, grants: Sequence[Grant], progress: Progress) -> None:
    """Mint and deposit for every user in turn. Blocks on the chain, so it runs in a thread."""
    for number, grant in enumerate(grants):
        wallet = make_account(grant.key)
        venue.settlement.mint(wallet.address, grant.amount_atoms)
        client = SettlementClient(venue.web3, wallet, venue.manifest)
        client.deposit(wallet.address, grant.amount_atoms)
        progress(number + 1, len(grants))


async def wait_until_credited(venue: Venue, addresses: Sequence[bytes]) -> None:
    """Return when the engine knows every address; FundingError after a minute."""
    deadline = asyncio.get_running_loop().time() + CREDIT_TIMEOUT_S
    while any(venue.engine.find_account(address) < 0 for address in addresses):
        if asyncio.get_running_loop().time() > deadline:
            raise FundingError("the venue has not credited a deposit that is on the chain")
        await asyncio.sleep(CREDIT_POLL_S)


async def fund(venue: Venue, grants: Sequence[Grant], progress: Progress = lambda done, total: None) -> None:
    """Give users money and return when the venue has credited it."""
    await asyncio.to_thread(deposit_grants, venue, grants, progress)
    await wait_until_credited(venue, [compute_address(grant.key.public_key) for grant in grants])


def fund_address(venue: Venue, address: bytes, amount_atoms: int) -> None:
    """Mint and deposit for an address whose key somebody else holds: the operator pays. Blocks on the
    chain.
    """
    operator = venue.settlement
    operator.mint(operator.address, amount_atoms)
    operator.deposit(to_checksum_address(address), amount_atoms)
