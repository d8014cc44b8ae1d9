"""A live node as a chain whose contracts can be asked: read-only, by JSON-RPC."""

from eth_abi.abi import encode as encode_abi
from eth_typing import HexStr
from eth_utils.address import to_checksum_address
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception

from novate.protocol.frame import keccak256
from novate.verification.chain_record import RecordError

TIMEOUT_S = 20.0


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
