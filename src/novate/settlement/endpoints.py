"""JSON-RPC endpoints of one chain: each is asked the same, and an answer counts only where all agree.

An endpoint may be slow, silent, stale or a liar. Silence and disagreement are errors that stop the caller and
mend themselves as soon as the endpoints answer alike; nothing here guesses who is right. Implements
[SETTLE-31].
"""

import http.client
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec
from eth_utils.address import to_canonical_address, to_checksum_address
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint

ANSWER_BYTES_MAX = 1 << 26
CHUNK_BYTES = 1 << 16
TIMEOUT_S = 10.0
LAG_BLOCKS_MAX = 16
# Blocks of one request for logs, which providers bound; a request may also match this many logs.
LOG_BLOCKS_MAX = 2_000
EXECUTION_REVERTED = 3

# Takes a method and its parameters, returns the decoded response object, raises OSError or ValueError.
Transport = Callable[[str, Sequence[Any]], Any]


class EndpointError(ConnectionError):
    """An endpoint that gave no usable answer. The message names it without path or key."""


class EndpointsDisagree(ConnectionError):
    """Endpoints that contradict each other or the manifest. Nothing is believed until they agree."""


class EndpointRefusal(EndpointError):
    """An endpoint's error answer: the request reached it, and it says no."""

    def __init__(self, name: str, code: int, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.code = code
        self.reason = message

    @property
    def is_revert(self) -> bool:
        """Whether a contract refused, not the endpoint."""
        return self.code == EXECUTION_REVERTED or "revert" in self.reason


class Block(NamedTuple):
    """What all endpoints must say alike of a block."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp_s: int
    base_fee_wei: int


class ChainLogEntry(NamedTuple):
    """One log with its place; two endpoints must give the same bytes."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


class Agreement(NamedTuple):
    """The newest block that all endpoints know (`tip`), and the one `confirmations` below the head."""

    tip: Block
    anchor: Block


def read_quantity(value: Any) -> int:
    """Return a JSON-RPC quantity; raise ValueError for anything else."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{value!r:.80} is no quantity")
    number = int(value, 16)
    if not 0 <= number < 1 << 256:
        raise ValueError(f"{value!r:.80} is out of range")
    return number


def read_data(value: Any, size: int | None = None) -> bytes:
    """Return JSON-RPC data, of the given size if there is one; raise ValueError for anything else."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"{value!r:.80} is no data")
    data = bytes.fromhex(value[2:])
    if size is not None and len(data) != size:
        raise ValueError(f"{size} bytes should be where {len(data)} are")
    return data


def connect_http(address: str, timeout_s: float = TIMEOUT_S) -> Transport:
    """Return a transport over HTTP that gives up after `timeout_s` and reads no more than its bound."""

    def ask(method: str, params: Sequence[Any]) -> Any:
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        deadline = time.monotonic() + timeout_s
        data = bytearray()
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            while chunk := response.read1(CHUNK_BYTES):
                data += chunk
                if len(data) > ANSWER_BYTES_MAX:
                    raise ValueError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole answer within {timeout_s} s")
        return msgspec.json.decode(data)

    return ask


def connect_provider(provider: JSONBaseProvider) -> Transport:
    """Return a transport over a web3.py provider, such as the embedded chain's."""
    return lambda method, params: provider.make_request(RPCEndpoint(method), list(params))


class Endpoint:
    """One endpoint. `name` goes into messages and must hold no secret.

    Errors     EndpointError without a usable answer; EndpointRefusal if the answer is an error.
    """

    def __init__(self, name: str, transport: Transport) -> None:
        self.name = name
        self._transport = transport

    def ask(self, method: str, *params: Any) -> Any:
        """Return the result of one request."""
        try:
            answer = self._transport(method, params)
            if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
                raise ValueError("the answer is no JSON-RPC response")
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise EndpointError(f"{self.name} gave no usable answer to {method}: {error}") from error
        if answer.get("error") is not None:
            error_object = answer["error"] if isinstance(answer["error"], dict) else {}
            code, message = error_object.get("code"), str(error_object.get("message"))[:300]
            raise EndpointRefusal(self.name, code if isinstance(code, int) else 0, message)
        return answer["result"]

    def read(self, decode: Callable[[Any], Any], method: str, *params: Any) -> Any:
        """Return a decoded result; an undecodable one is no usable answer."""
        result = self.ask(method, *params)
        try:
            return decode(result)
        except (KeyError, TypeError, ValueError) as error:
            raise EndpointError(f"{self.name} answered {method} with nonsense: {error}") from error

    def block(self, number: int) -> Block | None:
        """Return a block by its number, or None if the endpoint has none there."""
        found = self.read(_decode_block, "eth_getBlockByNumber", hex(number), False)
        if found is not None and found.number != number:
            raise EndpointError(f"{self.name} answered with block {found.number} instead of {number}")
        return cast(Block | None, found)


def _decode_block(answer: Any) -> Block | None:
    if answer is None:
        return None
    return Block(
        read_quantity(answer["number"]),
        read_data(answer["hash"], 32),
        read_data(answer["parentHash"], 32),
        read_quantity(answer["timestamp"]),
        read_quantity(answer.get("baseFeePerGas") or "0x0"),
    )


def _decode_log(answer: Any) -> ChainLogEntry:
    return ChainLogEntry(
        read_data(answer["address"], 20),
        tuple(read_data(topic, 32) for topic in answer["topics"]),
        read_data(answer["data"]),
        read_quantity(answer["blockNumber"]),
        read_data(answer["blockHash"], 32),
        read_data(answer["transactionHash"], 32),
        read_quantity(answer["logIndex"]),
    )


def _decode_receipt(answer: Any) -> tuple[int, tuple[ChainLogEntry, ...]] | None:
    if answer is None:
        return None
    return read_quantity(answer["status"]), tuple(_decode_log(log) for log in answer["logs"])


def open_endpoints(addresses: Sequence[str], timeout_s: float = TIMEOUT_S) -> list[Endpoint]:
    """Return the endpoints at these http(s) addresses. A name is scheme and host: paths often hold keys."""
    endpoints = []
    for number, address in enumerate(addresses, 1):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"endpoint {number} should be an http(s) address")
        place = parts.hostname + (f":{parts.port}" if parts.port else "")
        endpoints.append(Endpoint(f"endpoint {number} ({place})", connect_http(address, timeout_s)))
    return endpoints


class WitnessedChain:
    """One chain through one or more endpoints. With one endpoint there is nothing to compare; use two.

    Errors     EndpointError if one gives no answer or says no, EndpointsDisagree if they differ. Both are
               ConnectionErrors: nothing was lost, and the same may be asked again.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        chain_id: int,
        confirmations: int,
        lag_blocks_max: int = LAG_BLOCKS_MAX,
    ) -> None:
        if not endpoints or confirmations < 0:
            raise ValueError("Condition failed: there is an endpoint and confirmations are not negative.")
        self.endpoints = list(endpoints)
        self.chain_id = chain_id
        self.confirmations = confirmations
        self._lag_blocks_max = lag_blocks_max

    def _all_equal(self, what: str, answers: Sequence[Any]) -> Any:
        """Return the answer that all endpoints gave."""
        for endpoint, answer in zip(self.endpoints[1:], answers[1:], strict=True):
            if answer != answers[0]:
                names = f"{self.endpoints[0].name} and {endpoint.name}"
                raise EndpointsDisagree(
                    f"{names} disagree on {what}: {answers[0]!r:.200} and {answer!r:.200}"
                )
        return answers[0]

    def agree(self) -> Agreement:
        """Return the newest common block and the confirmed one."""
        heads = []
        for endpoint in self.endpoints:
            found = endpoint.read(read_quantity, "eth_chainId")
            if found != self.chain_id:
                raise EndpointsDisagree(f"{endpoint.name} serves chain {found}, not {self.chain_id}")
            heads.append(endpoint.read(read_quantity, "eth_blockNumber"))
        if max(heads) - min(heads) > self._lag_blocks_max:
            slowest = self.endpoints[heads.index(min(heads))].name
            raise EndpointsDisagree(f"{slowest} is {max(heads) - min(heads)} blocks behind")
        head = min(heads)
        anchor = self.block(max(head - self.confirmations, 0))
        for number in range(head, anchor.number, -1):
            # Above the confirmed block two honest nodes may be on two branches for a moment.
            blocks = [endpoint.block(number) for endpoint in self.endpoints]
            if blocks[0] is not None and all(block == blocks[0] for block in blocks):
                return Agreement(blocks[0], anchor)
        return Agreement(anchor, anchor)

    def block(self, number: int) -> Block:
        """Return the block that every endpoint has at a height."""
        blocks = [endpoint.block(number) for endpoint in self.endpoints]
        for endpoint, block in zip(self.endpoints, blocks, strict=True):
            if block is None:
                raise EndpointError(f"{endpoint.name} has no block {number} below its own head")
        return cast(Block, self._all_equal(f"block {number}", blocks))

    def call(self, to: str, data: bytes, block: Block, sender: str | None = None) -> bytes:
        """Return what a view returns in the state after a block."""
        request = {"to": to_checksum_address(to), "data": "0x" + data.hex()}
        if sender is not None:
            request["from"] = sender
        answers = [
            endpoint.read(read_data, "eth_call", request, {"blockHash": "0x" + block.hash.hex()})
            for endpoint in self.endpoints
        ]
        return cast(bytes, self._all_equal(f"a call of {to} at block {block.number}", answers))

    def nonce(self, address: str, block: Block) -> int:
        """Return the next nonce of an account in the state after a block."""
        place = {"blockHash": "0x" + block.hash.hex()}
        answers = [
            endpoint.read(read_quantity, "eth_getTransactionCount", address, place)
            for endpoint in self.endpoints
        ]
        return cast(int, self._all_equal(f"the nonce of {address} at block {block.number}", answers))

    def logs(self, address: str, topic: bytes, first: int, last: int) -> list[ChainLogEntry]:
        """Return the logs of one event in at most LOG_BLOCKS_MAX blocks, in the order of the chain."""
        query = {
            "address": to_checksum_address(address),
            "topics": ["0x" + topic.hex()],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answers = [
            endpoint.read(lambda rows: [_decode_log(row) for row in rows], "eth_getLogs", query)
            for endpoint in self.endpoints
        ]
        place = to_canonical_address(address)
        for entry in (entry for answer in answers for entry in answer):
            if (
                entry.address != place
                or entry.topics[:1] != (topic,)
                or not first <= entry.block_number <= last
            ):
                raise EndpointsDisagree(f"a log of block {entry.block_number} was not asked for")
        ordered = [sorted(answer, key=lambda log: (log.block_number, log.log_index)) for answer in answers]
        return cast(list[ChainLogEntry], self._all_equal(f"the logs of blocks {first} to {last}", ordered))

    def require_in_receipt(self, entry: ChainLogEntry) -> None:
        """See to it that every endpoint's receipt of the transaction holds this log and its success."""
        key = "0x" + entry.transaction_hash.hex()
        for endpoint in self.endpoints:
            receipt = endpoint.read(_decode_receipt, "eth_getTransactionReceipt", key)
            if receipt is None or receipt[0] != 1 or entry not in receipt[1]:
                raise EndpointsDisagree(f"the receipt that {endpoint.name} has of {key} lacks its log")

    def largest(self, method: str) -> int:
        """Return the largest of the endpoints' answers to a question about the market, such as a fee."""
        return max(cast(int, endpoint.read(read_quantity, method)) for endpoint in self.endpoints)

    def knows_transaction(self, transaction_hash: bytes) -> bool:
        """Whether any endpoint has a transaction, waiting or mined."""
        key = "0x" + transaction_hash.hex()
        return any(endpoint.ask("eth_getTransactionByHash", key) is not None for endpoint in self.endpoints)

    def send(self, raw: bytes) -> list[EndpointRefusal]:
        """Hand a signed transaction to every endpoint; return the refusals if none took it.

        An endpoint that does not answer counts as one that did not take it, unless none answered.
        """
        refusals: list[EndpointRefusal] = []
        silence: EndpointError | None = None
        taken = False
        for endpoint in self.endpoints:
            try:
                endpoint.ask("eth_sendRawTransaction", "0x" + raw.hex())
                taken = True
            except EndpointRefusal as error:
                refusals.append(error)
            except EndpointError as error:
                silence = error
        if not taken and not refusals and silence is not None:
            raise silence
        return [] if taken else refusals
