"""The poster: brings every published header onto the chain, each once, whatever chain and process do.

A step reads where the chain stands, at one block that all endpoints share, and does what is missing; it never
builds on what an earlier step believed. So a reorganisation, a lost transaction and a restart are one case.
The nonce of a batch follows from the chain, which leaves one transaction per batch: the contract refuses a
second. Implements [SETTLE-30] and the submitting side of [SETTLE-3].
"""

from typing import Any, NamedTuple, Protocol

from eth_account.signers.local import LocalAccount

from novate.protocol.header import BatchHeader
from novate.settlement.blobs import make_sidecar
from novate.settlement.client import SettlementError
from novate.settlement.endpoints import Block, EndpointRefusal, WitnessedChain
from novate.settlement.fees import FeePolicy, Fees, PostingHeld
from novate.settlement.header_contract import HeaderContract
from novate.settlement.posting_record import Attempt, PostingRecord

# What a node says of a transaction that it has, or that it has mined; neither is an error.
KNOWN = ("already known", "already imported", "known transaction", "nonce too low")
UNDERPRICED = "underpriced"


class PostedData(NamedTuple):
    """What travels with a header: bytes behind the call's arguments, or blobs beside it, or nothing."""

    tail: bytes = b""
    blobs: tuple[bytes, ...] = ()


class BatchSource(Protocol):
    """The published batches, in order, with what each posts as its data."""

    def header(self, number: int) -> BatchHeader:
        """Return the header of a published batch."""
        ...

    def data(self, number: int) -> PostedData:
        """Return what is posted with it [SETTLE-33]."""
        ...


class Progress(NamedTuple):
    """How far the chain is: `posted` at its tip, `confirmed` at the confirmation depth; the tip's number."""

    posted: int
    confirmed: int
    block_number: int


class Poster:
    """One posting key's hand on one settlement contract. One caller at a time.

    The key should do nothing else: a foreign transaction of it costs a batch a second try, never its place.
    Errors     PostingHeld while nothing can be done now and a person should know; EndpointError and
               EndpointsDisagree while the chain cannot be read; SettlementError for a contradiction that
               time does not mend.
    """

    def __init__(
        self,
        chain: WitnessedChain,
        account: LocalAccount,
        contract: HeaderContract,
        source: BatchSource,
        record: PostingRecord,
        policy: FeePolicy,
    ) -> None:
        self.chain = chain
        self.account = account
        self.contract = contract
        self.source = source
        self.record = record
        self.policy = policy

    def step(self, last_number: int) -> Progress:
        """Bring the batches up to `last_number` nearer to the chain, and say how far it is."""
        tip, anchor = self.chain.agree()
        confirmed = self._count(anchor, last_number)
        posted = self._count(tip, last_number) if tip != anchor else confirmed
        self.record.forget(confirmed)
        if posted < last_number:
            self._post(tip, posted + 1, last_number)
        return Progress(posted, confirmed, tip.number)

    def _count(self, block: Block, last_number: int) -> int:
        """Return the chain's last batch after a block; it must be ours."""
        count = self.contract.count(self.chain, block)
        number = min(count, last_number)
        if number > 0:
            found = self.contract.header_hash(self.chain, block, number)
            if found != self.source.header(number).hash():
                raise SettlementError(f"batch {number} on chain differs from the one that is published")
        return count

    def _post(self, tip: Block, first: int, last: int) -> None:
        nonce = self.chain.nonce(self.account.address, tip)
        for number in range(first, min(last, first + self.policy.window - 1) + 1):
            self._drive(number, nonce + number - first, tip, is_first=number == first)

    def _drive(self, number: int, nonce: int, tip: Block, is_first: bool) -> None:
        """See to it that a transaction with this batch waits at this nonce, and pays enough."""
        before = self.record.find(nonce)
        data = self.source.data(number)
        is_stuck = before is not None and tip.number - before.block_number >= self.policy.stuck_blocks
        if before is not None and before.number == number and not is_stuck and self._keep(before, data, tip):
            return
        if is_first:
            self._rehearse(number, tip)
        fees = self._choose_fees(tip, before, bool(data.blobs))
        if fees is None:
            assert before is not None, "Invariant: only a replacement may keep the old price."
            self._keep(before, data, tip)
            raise PostingHeld(
                f"batch {number} waits at nonce {nonce}: a replacement would cost more than the cap"
            )
        gas = self.policy.gas_limit + self.policy.gas_per_tail_byte * len(data.tail)
        attempt = Attempt(number, nonce, *fees, gas, tip.number, b"")
        raw, transaction_hash = self._sign(attempt, data)
        # Written before it is sent: after a crash here the same transaction is sent, not another one.
        attempt = attempt._replace(hash=transaction_hash)
        self.record.write(attempt)
        self._hand_over(attempt, raw, tip)

    def _keep(self, attempt: Attempt, data: PostedData, tip: Block) -> bool:
        """Send an attempt again if no node has it; False if it can no longer be made."""
        if self.chain.knows_transaction(attempt.hash):
            return True
        raw, transaction_hash = self._sign(attempt, data)
        if transaction_hash != attempt.hash:
            return False  # What is posted with a batch was configured otherwise since then.
        self._hand_over(attempt, raw, tip)
        return True

    def _choose_fees(self, tip: Block, before: Attempt | None, has_blobs: bool) -> Fees | None:
        """Return the fees of the next attempt at a nonce, or None if a replacement would pass the cap."""
        blob_base_fee = self.chain.largest("eth_blobBaseFee") if has_blobs else 0
        if before is None:
            return self.policy.price(tip.base_fee_wei, blob_base_fee, has_blobs)
        return self.policy.replace(before.fees, tip.base_fee_wei, blob_base_fee, has_blobs)

    def _rehearse(self, number: int, tip: Block) -> None:
        """Ask the contract at the tip whether it would take the batch: a revert costs gas and says less."""
        call = self.contract.encode_submit(self.source.header(number))
        try:
            self.chain.call(self.contract.address, call, tip, self.account.address)
        except EndpointRefusal as error:
            if not error.is_revert:
                raise
            raise PostingHeld(f"the contract would refuse batch {number}: {error.reason}") from error

    def _sign(self, attempt: Attempt, data: PostedData) -> tuple[bytes, bytes]:
        """Return the signed transaction of an attempt, always the same bytes, and its hash."""
        transaction: dict[str, Any] = {
            "type": 3 if data.blobs else 2,
            "chainId": self.chain.chain_id,
            "nonce": attempt.nonce,
            "to": self.contract.address,
            "value": 0,
            "data": self.contract.encode_submit(self.source.header(attempt.number)) + data.tail,
            "gas": attempt.gas,
            "maxPriorityFeePerGas": attempt.tip_wei,
            "maxFeePerGas": attempt.fee_wei,
        }
        if not data.blobs:
            signed = self.account.sign_transaction(transaction)
            return bytes(signed.raw_transaction), bytes(signed.hash)
        sidecar = make_sidecar(data.blobs)
        transaction |= {
            "maxFeePerBlobGas": attempt.blob_fee_wei,
            "blobVersionedHashes": sidecar.versioned_hashes,
        }
        signed = self.account.sign_transaction(transaction)
        return sidecar.wrap(bytes(signed.raw_transaction)), bytes(signed.hash)

    def _hand_over(self, attempt: Attempt, raw: bytes, tip: Block) -> None:
        """Send an attempt to every endpoint and judge what they say."""
        refusals = self.chain.send(raw)
        if not refusals or any(word in refusals[0].reason.lower() for word in KNOWN):
            return
        if UNDERPRICED in refusals[0].reason.lower():
            # Something waits at this nonce that the record does not know: raise the price at the next step.
            self.record.write(attempt._replace(block_number=tip.number - self.policy.stuck_blocks))
            raise PostingHeld(
                f"another transaction of the posting key waits at nonce {attempt.nonce} and pays more"
            )
        raise PostingHeld(f"batch {attempt.number} was not taken: {refusals[0]}")
