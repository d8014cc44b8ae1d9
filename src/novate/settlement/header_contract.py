"""What the poster and the watcher ask of the settlement contract, and nothing else of it."""

from eth_abi.abi import encode as encode_abi
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256
from novate.protocol.header import BatchHeader
from novate.settlement.endpoints import Block, WitnessedChain

HEADER_TYPES = "(uint64,bytes32,bytes32,uint64,uint64,bytes32,uint64,bytes32,bytes32,bytes32,uint64)"
SUBMIT = keccak256(f"submit({HEADER_TYPES})".encode())[:4]
BATCH_COUNT = keccak256(b"batchCount()")[:4]
HEADER_HASH = keccak256(b"headerHash(uint64)")[:4]


class HeaderContract:
    """The settlement contract at an address."""

    def __init__(self, address: str) -> None:
        self.address = to_checksum_address(address)

    def encode_submit(self, header: BatchHeader) -> bytes:
        """Return the call that posts a header; its arguments are the header's canonical bytes [SETTLE-1]."""
        return SUBMIT + header.encode()

    def count(self, chain: WitnessedChain, block: Block) -> int:
        """Return the number of the last batch after a block."""
        return int.from_bytes(chain.call(self.address, BATCH_COUNT, block), "big")

    def header_hash(self, chain: WitnessedChain, block: Block, number: int) -> bytes:
        """Return the hash of a header after a block, or 32 zero bytes."""
        return chain.call(self.address, HEADER_HASH + encode_abi(["uint64"], [number]), block)
