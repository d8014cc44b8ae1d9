"""Withdrawals as their owners see them: wait until the batch is final, prove the leaf, claim, look at the
balance.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from novate.apps.fleet import Request
from novate.apps.funding import make_account
from novate.apps.venue import Venue
from novate.protocol.genesis import Genesis
from novate.protocol.signing import compute_address
from novate.protocol.withdrawals import Withdrawal, hash_withdrawal, prove_withdrawal
from novate.settlement.client import SettlementClient
from novate.verification.published import (
    BATCHES_FILE,
    HEAD_FILE,
    PublishedBatch,
    read_batches,
    read_files,
    read_frames,
    read_genesis,
    read_head,
)

FINALITY_POLL_S = 0.1
FINALITY_TIMEOUT_S = 60.0


class Claimable(NamedTuple):
    """A withdrawal with the proof that the vault asks for."""

    withdrawal: Withdrawal
    proof: list[bytes]


def read_claimables(published: Path) -> list[Claimable]:
    """Return every published withdrawal with its proof, from the published files alone."""
    _, batches = read_published_batches(published)
    return prove_withdrawals(batches)


def read_published_batches(target: str | Path) -> tuple[Genesis, list[PublishedBatch]]:
    """Return genesis and batches of a folder or an address; CheckFailed if one is not as written."""
    files = read_files(target)
    genesis = read_genesis(files)
    head = read_head(files[HEAD_FILE], genesis.hash)
    frames, _ = read_frames(BATCHES_FILE, files[BATCHES_FILE], genesis.hash, head.batches)
    return genesis, read_batches(frames)


def prove_withdrawals(batches: Sequence[PublishedBatch]) -> list[Claimable]:
    """Return every withdrawal of published batches with its proof."""
    claimables: list[Claimable] = []
    for batch in batches:
        withdrawals = [
            Withdrawal(batch.header.number, index, account, amount)
            for index, (account, amount) in enumerate(batch.withdrawals)
        ]
        leaves = [hash_withdrawal(each) for each in withdrawals]
        claimables.extend(
            Claimable(each, prove_withdrawal(leaves, index)) for index, each in enumerate(withdrawals)
        )
    return claimables


async def wait_until_final(venue: Venue, number: int) -> None:
    """Return when a batch is final on the chain; TimeoutError after a minute."""
    async with asyncio.timeout(FINALITY_TIMEOUT_S):
        while not await asyncio.to_thread(venue.settlement.is_final, number):
            await asyncio.sleep(FINALITY_POLL_S)


def claim_requests(venue: Venue, requests: Sequence[Request]) -> int:
    """Claim every request with its owner's wallet and return how many arrived. Blocks on the chain."""
    claimables = {
        (each.withdrawal.account, each.withdrawal.amount_atoms): each
        for each in read_claimables(venue.published)
    }
    paid = 0
    for request in requests:
        claimable = claimables.get((compute_address(request.key.public_key), request.amount_atoms))
        if claimable is None:
            continue
        wallet = make_account(request.key)
        client = SettlementClient(venue.web3, wallet, venue.manifest)
        before = client.token_balance(wallet.address)
        client.claim(*claimable)
        paid += client.token_balance(wallet.address) - before == request.amount_atoms
    return paid
