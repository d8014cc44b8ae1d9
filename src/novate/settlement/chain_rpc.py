"""The embedded chain's Ethereum JSON-RPC, and the web3.py provider over it.

Settlement code speaks web3.py only, so it cannot tell this chain from a node. State is answered at the head
alone. Tries do not exist here: the roots in a block are zero, and a block's hash is the hash of its frame in
the log.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from eth_utils.address import to_checksum_address
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from novate.protocol.chain_blocks import BLOCK_GAS_LIMIT
from novate.protocol.frame import keccak256
from novate.protocol.transaction import Transaction, TransactionError
from novate.settlement.embedded_chain import EmbeddedChain, MinedBlock, MinedTransaction
from novate.settlement.evm import ExecutionRejected, Log, Outcome

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601
SERVER_ERROR = -32000
EXECUTION_REVERTED = 3
LOG_COUNT_MAX = 10_000
ESTIMATE_STEPS_MAX = 24
ZERO_ADDRESS = bytes(20)
ERROR_SELECTOR = keccak256(b"Error(string)")[:4]


class RpcError(Exception):
    """An answer that is an error: `code` and `message` as JSON-RPC has them, `data` a hex string or None."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _read_bytes(value: object, size: int | None = None) -> bytes:
    """Return the bytes of a 0x string or of bytes, of the given size if there is one."""
    try:
        data = (
            bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(cast(bytes, value))
        )
    except (TypeError, ValueError) as error:
        raise RpcError(INVALID_PARAMS, f"{value!r} is not hexadecimal") from error
    if size is not None and len(data) != size:
        raise RpcError(INVALID_PARAMS, f"{value!r} should be {size} bytes")
    return data


def _read_integer(value: object) -> int:
    try:
        number = int(value, 16) if isinstance(value, str) else int(cast(int, value))
    except (TypeError, ValueError) as error:
        raise RpcError(INVALID_PARAMS, f"{value!r} is not an integer") from error
    if not 0 <= number < 1 << 256:
        raise RpcError(INVALID_PARAMS, f"{value!r} is out of range")
    return number


def describe_revert(output: bytes) -> str:
    """Return `execution reverted` with the contract's reason, where it gave one as Error(string)."""
    size = int.from_bytes(output[36:68], "big") if output[:4] == ERROR_SELECTOR else 0
    if not 0 < size <= len(output) - 68:
        return "execution reverted"
    return "execution reverted: " + output[68 : 68 + size].decode("utf-8", "replace")


def compute_bloom(logs: Sequence[Log]) -> bytes:
    """Return the 2048-bit bloom filter of addresses and topics (Ethereum yellow paper, section 4.3.1)."""
    bloom = 0
    for log in logs:
        for item in (log.address, *log.topics):
            digest = keccak256(item)
            for start in (0, 2, 4):
                bloom |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bloom.to_bytes(256, "big")


def render_log(block: MinedBlock, mined: MinedTransaction, position: int) -> dict[str, Any]:
    """Return one log in the shape of eth_getLogs."""
    log = mined.outcome.logs[position]
    return {
        "address": to_checksum_address(log.address),
        "topics": [_hex(topic) for topic in log.topics],
        "data": _hex(log.data),
        "blockNumber": hex(block.number),
        "blockHash": _hex(block.hash),
        "transactionHash": _hex(mined.transaction.hash),
        "transactionIndex": hex(mined.position),
        "logIndex": hex(mined.log_index + position),
        "removed": False,
    }


def render_receipt(block: MinedBlock, mined: MinedTransaction) -> dict[str, Any]:
    """Return a receipt in the shape of eth_getTransactionReceipt."""
    transaction, outcome = mined.transaction, mined.outcome
    before = sum(other.outcome.gas_used for other in block.transactions[: mined.position])
    return {
        "transactionHash": _hex(transaction.hash),
        "transactionIndex": hex(mined.position),
        "blockHash": _hex(block.hash),
        "blockNumber": hex(block.number),
        "from": to_checksum_address(transaction.sender),
        "to": to_checksum_address(transaction.to) if transaction.to else None,
        "cumulativeGasUsed": hex(before + outcome.gas_used),
        "gasUsed": hex(outcome.gas_used),
        "effectiveGasPrice": "0x0",
        "contractAddress": to_checksum_address(outcome.created) if outcome.created else None,
        "logs": [render_log(block, mined, position) for position in range(len(outcome.logs))],
        "logsBloom": _hex(compute_bloom(outcome.logs)),
        "status": hex(int(outcome.success)),
        "type": hex(transaction.kind),
    }


def render_transaction(block: MinedBlock, mined: MinedTransaction) -> dict[str, Any]:
    """Return a transaction in the shape of eth_getTransactionByHash."""
    transaction: Transaction = mined.transaction
    shape = {
        "blockHash": _hex(block.hash),
        "blockNumber": hex(block.number),
        "transactionIndex": hex(mined.position),
        "hash": _hex(transaction.hash),
        "type": hex(transaction.kind),
        "chainId": hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "from": to_checksum_address(transaction.sender),
        "to": to_checksum_address(transaction.to) if transaction.to else None,
        "value": hex(transaction.value_wei),
        "gas": hex(transaction.gas_limit),
        "gasPrice": hex(transaction.fee_max_wei),
        "input": _hex(transaction.data),
        "v": hex(
            transaction.y_parity if transaction.kind else 35 + 2 * transaction.chain_id + transaction.y_parity
        ),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }
    if transaction.kind:
        shape["maxFeePerGas"] = hex(transaction.fee_max_wei)
        shape["maxPriorityFeePerGas"] = hex(transaction.priority_fee_wei)
    return shape


def render_block(block: MinedBlock, is_full: bool) -> dict[str, Any]:
    """Return a block in the shape of eth_getBlockByNumber."""
    zero = _hex(bytes(32))
    logs = [log for mined in block.transactions for log in mined.outcome.logs]
    return {
        "number": hex(block.number),
        "hash": _hex(block.hash),
        "parentHash": _hex(block.parent_hash),
        "timestamp": hex(block.timestamp_s),
        "gasLimit": hex(BLOCK_GAS_LIMIT),
        "gasUsed": hex(block.gas_used),
        "baseFeePerGas": "0x0",
        "miner": to_checksum_address(ZERO_ADDRESS),
        "transactions": [
            render_transaction(block, mined) if is_full else _hex(mined.transaction.hash)
            for mined in block.transactions
        ],
        "logsBloom": _hex(compute_bloom(logs)),
        "uncles": [],
        "difficulty": "0x0",
        "extraData": "0x",
        "nonce": "0x0000000000000000",
        "size": hex(sum(len(mined.raw) for mined in block.transactions)),
        "mixHash": zero,
        "sha3Uncles": zero,
        "stateRoot": zero,
        "transactionsRoot": zero,
        "receiptsRoot": zero,
    }


class ChainRpc:
    """Answers JSON-RPC requests against one chain. Every parameter is checked before the chain sees it."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: "novate-embedded/1",
            "net_version": lambda: str(chain.chain_id),
            "eth_chainId": lambda: hex(chain.chain_id),
            "eth_blockNumber": lambda: hex(len(chain.blocks) - 1),
            "eth_gasPrice": lambda: "0x0",
            "eth_maxPriorityFeePerGas": lambda: "0x0",
            "eth_accounts": list,
            "eth_feeHistory": self._answer_fee_history,
            "eth_getBalance": lambda address, tag="latest": hex(chain.balance(self._at_head(address, tag))),
            "eth_getTransactionCount": lambda address, tag="latest": hex(
                chain.nonce(self._at_head(address, tag))
            ),
            "eth_getCode": lambda address, tag="latest": _hex(chain.code(self._at_head(address, tag))),
            "eth_call": self._answer_call,
            "eth_estimateGas": self._answer_estimate,
            "eth_sendRawTransaction": lambda raw: _hex(chain.send_raw_transaction(_read_bytes(raw))),
            "eth_getTransactionReceipt": lambda key: self._answer_found(key, render_receipt),
            "eth_getTransactionByHash": lambda key: self._answer_found(key, render_transaction),
            "eth_getBlockByNumber": self._answer_block,
            "eth_getBlockByHash": self._answer_block_by_hash,
            "eth_getLogs": self._answer_logs,
        }

    def request(self, method: str, params: Sequence[Any]) -> Any:
        """Return the result of one request; raise RpcError for anything that cannot be answered."""
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist")
        try:
            return handler(*params)
        except (TransactionError, ExecutionRejected) as error:
            raise RpcError(SERVER_ERROR, str(error)) from error
        except TypeError as error:
            raise RpcError(INVALID_PARAMS, f"{method}: {error}") from error

    def _read_number(self, tag: object) -> int:
        head = len(self._chain.blocks) - 1
        if isinstance(tag, dict):
            return self._find_number(tag)
        if tag in ("latest", "pending", "safe", "finalized", None):
            return head
        return 0 if tag == "earliest" else _read_integer(tag)

    def _find_number(self, place: dict[str, Any]) -> int:
        """Return the number of the block that EIP-1898 names by number or by hash."""
        if "blockNumber" in place:
            return _read_integer(place["blockNumber"])
        wanted = _read_bytes(place.get("blockHash"), 32)
        for block in reversed(self._chain.blocks):
            if block.hash == wanted:
                return block.number
        raise RpcError(SERVER_ERROR, f"there is no block {_hex(wanted)}")

    def _at_head(self, address: object, tag: object) -> bytes:
        """Return the address, if the state asked for is the head's."""
        if self._read_number(tag) != len(self._chain.blocks) - 1:
            raise RpcError(SERVER_ERROR, "this chain keeps the state of its latest block only")
        return _read_bytes(address, 20)

    def _run(self, request: dict[str, Any], gas: int) -> Outcome:
        to = request.get("to")
        return self._chain.call(
            _read_bytes(request.get("from") or ZERO_ADDRESS, 20),
            _read_bytes(to, 20) if to else b"",
            _read_bytes(request.get("data") or request.get("input") or b""),
            _read_integer(request.get("value") or 0),
            gas,
        )

    def _answer_call(self, request: dict[str, Any], tag: object = "latest", *_: object) -> str:
        self._at_head(ZERO_ADDRESS, tag)
        outcome = self._run(request, _read_integer(request.get("gas") or BLOCK_GAS_LIMIT))
        if not outcome.success:
            raise RpcError(EXECUTION_REVERTED, describe_revert(outcome.output), _hex(outcome.output))
        return _hex(outcome.output)

    def _answer_estimate(self, request: dict[str, Any], tag: object = "latest", *_: object) -> str:
        """Return the least gas limit found to suffice, between what was spent and the block's limit."""
        self._at_head(ZERO_ADDRESS, tag)
        outcome = self._run(request, BLOCK_GAS_LIMIT)
        if not outcome.success:
            raise RpcError(EXECUTION_REVERTED, describe_revert(outcome.output), _hex(outcome.output))
        low, high = outcome.gas_used + outcome.gas_refunded, BLOCK_GAS_LIMIT
        if self._run(request, low).success:
            return hex(low)
        for _step in range(ESTIMATE_STEPS_MAX):
            middle = (low + high) // 2
            if self._run(request, middle).success:
                high = middle
            else:
                low = middle
        return hex(high)

    def _answer_fee_history(
        self, count: object, newest: object, percentiles: Sequence[float] = ()
    ) -> dict[str, Any]:
        span = min(_read_integer(count), 1024)
        oldest = max(self._read_number(newest) - span + 1, 0)
        return {
            "oldestBlock": hex(oldest),
            "baseFeePerGas": ["0x0"] * (span + 1),
            "gasUsedRatio": [0] * span,
            "reward": [["0x0"] * len(percentiles or ())] * span,
        }

    def _answer_found(
        self, key: object, render: Callable[[MinedBlock, MinedTransaction], dict[str, Any]]
    ) -> dict[str, Any] | None:
        found = self._chain.find_transaction(_read_bytes(key, 32))
        return render(*found) if found else None

    def _answer_block(self, tag: object, is_full: bool = False) -> dict[str, Any] | None:
        number = self._read_number(tag)
        if number >= len(self._chain.blocks):
            return None
        return render_block(self._chain.blocks[number], is_full)

    def _answer_block_by_hash(self, key: object, is_full: bool = False) -> dict[str, Any] | None:
        wanted = _read_bytes(key, 32)
        for block in reversed(self._chain.blocks):
            if block.hash == wanted:
                return render_block(block, is_full)
        return None

    def _answer_logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = self._read_number(query.get("fromBlock")), self._read_number(query.get("toBlock"))
        wanted = query.get("address") or []
        addresses = {
            _read_bytes(item, 20) for item in (wanted if isinstance(wanted, list | tuple) else [wanted])
        }
        topics = [self._read_topic(topic) for topic in query.get("topics") or []]
        found: list[dict[str, Any]] = []
        for block, mined in self._chain.iterate_transactions(first, last):
            for position, log in enumerate(mined.outcome.logs):
                if (not addresses or log.address in addresses) and _matches(log, topics):
                    found.append(render_log(block, mined, position))
            if len(found) > LOG_COUNT_MAX:
                raise RpcError(SERVER_ERROR, f"more than {LOG_COUNT_MAX} logs match; ask for fewer blocks")
        return found

    @staticmethod
    def _read_topic(topic: object) -> frozenset[bytes]:
        """Return the accepted values at one place; none means any."""
        if topic is None:
            return frozenset()
        values = topic if isinstance(topic, list | tuple) else [topic]
        return frozenset(_read_bytes(value, 32) for value in values)


def _matches(log: Log, topics: Sequence[frozenset[bytes]]) -> bool:
    if len(log.topics) < len(topics):
        return False
    return all(not accepted or topic in accepted for accepted, topic in zip(topics, log.topics, strict=False))


class EmbeddedProvider(JSONBaseProvider):
    """A web3.py provider that asks a chain in this process."""

    def __init__(self, chain: EmbeddedChain) -> None:
        super().__init__()
        self._rpc = ChainRpc(chain)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Return the response object of one request; errors are in it, as from a node."""
        response: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self.request_counter)}
        try:
            response["result"] = self._rpc.request(method, params or [])
        except RpcError as error:
            response["error"] = {"code": error.code, "message": str(error)}
            if error.data is not None:
                response["error"]["data"] = error.data
        return cast(RPCResponse, response)
