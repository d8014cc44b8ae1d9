"""A live node as a chain whose contracts can be asked: read-only, by JSON-RPC."""

from collections.abc import Callable
from typing import Any, NamedTuple

from eth_abi.abi import encode as encode_abi
from eth_typing import BlockNumber, HexStr
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception
from web3.types import FilterParams

from novate.protocol.frame import keccak256
from novate.verification.chain_record import RecordError

TIMEOUT_S = 20.0


class NodeLog(NamedTuple):
    """One log of a contract."""

    topics: tuple[bytes, ...]
    data: bytes
    transaction_hash: bytes


class NodeTransaction(NamedTuple):
    """A mined transaction, and the time of its block in seconds UTC."""

    to: bytes
    data: bytes
    blob_hashes: tuple[bytes, ...]
    block_time_s: int


class Node:
    """One JSON-RPC endpoint.

    Errors     RecordError if it cannot be reached or does not answer by the rules.
    """

    def __init__(self, address: str, chain_id: int) -> None:
        self._address = address
        self._web3 = Web3(HTTPProvider(address, request_kwargs={"timeout": TIMEOUT_S}))
        try:
            found = self._web3.eth.chain_id
        except (Web3Exception, OSError, ValueError) as error:
            raise RecordError(address, f"it does not answer: {error}") from error
        if found != chain_id:
            raise RecordError(address, f"it serves chain {found}, the genesis file names chain {chain_id}")

    def block_number(self) -> int:
        """Return the number of the latest block."""
        return int(self._ask("the latest block", lambda: self._web3.eth.block_number))

    def logs(self, address: bytes, topic: bytes, first: int, last: int) -> list[NodeLog]:
        """Return the logs of one event of a contract in some blocks, in the order of the chain."""
        query: FilterParams = {
            "address": to_checksum_address(address),
            "topics": [HexStr("0x" + topic.hex())],
            "fromBlock": BlockNumber(first),
            "toBlock": BlockNumber(last),
        }
        found = self._ask(f"the logs of blocks {first} to {last}", lambda: self._web3.eth.get_logs(query))
        return [
            NodeLog(tuple(bytes(t) for t in log["topics"]), bytes(log["data"]), bytes(log["transactionHash"]))
            for log in found
        ]

    def transaction(self, transaction_hash: bytes) -> NodeTransaction:
        """Return a mined transaction."""
        name = f"transaction 0x{transaction_hash.hex()}"
        found = self._ask(name, lambda: self._web3.eth.get_transaction(HexBytes(transaction_hash)))
        block = self._ask(name, lambda: self._web3.eth.get_block(found["blockHash"]))
        hashes = tuple(bytes(versioned_hash) for versioned_hash in found.get("blobVersionedHashes") or ())
        to = bytes.fromhex(str(found.get("to") or "0x")[2:])
        return NodeTransaction(to, bytes(HexBytes(found["input"])), hashes, int(block["timestamp"]))

    def _ask(self, what: str, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except (Web3Exception, OSError, ValueError, KeyError) as error:
            raise RecordError(self._address, f"it does not give {what}: {error}") from error

    def call(self, to: bytes, signature: str, *arguments: int | str) -> int:
        """Return the word that a view of a contract returns."""
        kinds = [kind for kind in signature[signature.index("(") + 1 : -1].split(",") if kind]
        data = keccak256(signature.encode())[:4] + encode_abi(kinds, arguments)
        try:
            output = bytes(
                self._web3.eth.call({"to": to_checksum_address(to), "data": HexStr("0x" + data.hex())})
            )
        except (Web3Exception, OSError, ValueError) as error:
            raise RecordError(f"{self._address} {signature}", f"the call failed: {error}") from error
        if len(output) != 32:
            raise RecordError(f"{self._address} {signature}", f"32 bytes should come back, {len(output)} did")
        return int.from_bytes(output, "big")
