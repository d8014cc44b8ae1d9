"""The embedded chain: the life cycle, restarts after a kill, torn tails, and the Ethereum rules it keeps."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from msgspec.structs import replace
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3RPCError

from novate.protocol.transaction import TransactionError
from novate.settlement.chain_log import ChainLogError
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient, SettlementError
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.evm import ExecutionRejected
from novate.settlement.manifest import Manifest, ManifestError, read_manifest
from novate.verification.chain_record import replay_chain
from tests.contracts.lifecycle import Outcome, make_header, run_life_cycle

CHAIN_ID = 31337
OPERATOR: LocalAccount = Account.from_key(b"\x01" * 32)
TRADER: LocalAccount = Account.from_key(b"\x02" * 32)


class Clock:
    """A clock moved by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 1_750_000_000

    def __call__(self) -> int:
        return self.now_s

    def advance(self, seconds: int) -> None:
        self.now_s += seconds


def open_chain(path: Path | None, clock: Clock) -> EmbeddedChain:
    return EmbeddedChain(path, CHAIN_ID, clock)


def live(path: Path | None, clock: Clock) -> tuple[EmbeddedChain, Outcome]:
    chain = open_chain(path, clock)
    return chain, run_life_cycle(Web3(EmbeddedProvider(chain)), OPERATOR, TRADER, clock.advance)


def sign(nonce: int, **changes: Any) -> bytes:
    fields = {"type": 2, "chainId": CHAIN_ID, "nonce": nonce, "to": TRADER.address, "value": 0, "gas": 21_000}
    fields |= {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "data": b"", **changes}
    return bytes(OPERATOR.sign_transaction(fields).raw_transaction)


def test_life_cycle_and_restart(tmp_path: Path) -> None:
    """After a restart each block, receipt and balance is what it was; the verifier agrees [SETTLE-16]."""
    clock = Clock()
    path = tmp_path / "chain.log"
    chain, outcome = live(path, clock)
    blocks = list(chain.blocks)
    chain.close()
    again = open_chain(path, clock)
    assert blocks == again.blocks
    client = SettlementClient(Web3(EmbeddedProvider(again)), OPERATOR, outcome.manifest)
    assert client.post_header(outcome.headers[1]) is None
    with pytest.raises(SettlementError, match="differs"):
        client.post_header(outcome.headers[1]._replace(state_root=b"\x09" * 32))
    with pytest.raises(SettlementError, match="cannot follow"):
        client.post_header(make_header(4, 0, 2))
    manifest = outcome.manifest
    names = ("Settlement", "Inbox", "Vault")
    settlement, inbox, vault = (bytes.fromhex(manifest.contracts[name].address[2:]) for name in names)
    watched = {"settlement": settlement, "inbox": inbox, "vault": vault}
    record = replay_chain(path.read_bytes(), chain_id=CHAIN_ID, **watched)
    assert outcome.headers == [batch.header for batch in record.batches]
    assert [header.hash() for header in outcome.headers] == [record.header_hash(n) for n in (1, 2)]
    assert (2, 2, client.vault_balance()) == (
        record.batch_count(),
        record.entry_count(),
        record.vault_balance(),
    )
    assert bytes.fromhex(manifest.genesis_hash[2:]) == record.genesis_hash()
    assert [1_000_000, 2_000_000] == [entry.amount_atoms for entry in record.entries]
    assert [manifest.contracts[name].code_hash for name in names] == [
        "0x" + record.code_hashes()[address].hex() for address in watched.values()
    ]
    again.close()


def test_manifest_is_checked(tmp_path: Path) -> None:
    """A manifest survives its file, and a client refuses a chain that does not hold what it says."""
    chain, outcome = live(None, Clock())
    outcome.manifest.write(tmp_path / "manifest.json")
    assert outcome.manifest == read_manifest(tmp_path / "manifest.json")
    web3 = Web3(EmbeddedProvider(chain))
    fields = {name: getattr(outcome.manifest, name) for name in Manifest.__struct_fields__}
    forged = replace(outcome.manifest.contracts["Vault"], code_hash="0x" + "00" * 32)
    contracts = {**outcome.manifest.contracts, "Vault": forged}
    with pytest.raises(ManifestError, match="the code of Vault"):
        SettlementClient(web3, None, Manifest(**{**fields, "contracts": contracts}))
    with pytest.raises(ManifestError, match="serves chain"):
        SettlementClient(web3, None, Manifest(**{**fields, "chain_id": 1}))
    with pytest.raises(SettlementError, match="only read"):
        SettlementClient(web3, None, outcome.manifest).mint(TRADER.address, 1)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ManifestError, match="not a manifest"):
        read_manifest(tmp_path / "manifest.json")


KILLED = """
import sys
from pathlib import Path
from tests.contracts.test_embedded_chain import Clock, open_chain, sign
chain = open_chain(Path(sys.argv[1]), Clock())
for nonce in range(1_000_000):
    chain.send_raw_transaction(sign(nonce))
    print(nonce, flush=True)
"""


def test_a_kill_loses_nothing_visible(tmp_path: Path) -> None:
    """Whatever the chain answered before kill -9 is there after it."""
    path = tmp_path / "chain.log"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        seen += [int(line) for line in process.stdout.read().splitlines()]
    chain = open_chain(path, Clock())
    assert chain.nonce(bytes.fromhex(OPERATOR.address[2:])) >= seen[-1] + 1 >= 20
    chain.close()


def test_every_torn_tail_is_cut(tmp_path: Path) -> None:
    """A log cut at any byte of its last frame opens with the blocks before it, and goes on."""
    path = tmp_path / "chain.log"
    clock = Clock()
    chain = open_chain(path, clock)
    chain.send_raw_transaction(sign(0))
    whole = path.stat().st_size
    chain.send_raw_transaction(sign(1))
    chain.close()
    data = path.read_bytes()
    for end in range(whole + 1, len(data), 7):
        path.write_bytes(data[:end])
        torn = open_chain(path, clock)
        assert (2, end - whole) == (len(torn.blocks), torn.torn_bytes)
        torn.close()
        assert whole == path.stat().st_size
    mended = open_chain(path, clock)
    mended.send_raw_transaction(sign(1))
    mended.close()
    assert data == path.read_bytes()


def test_a_rotten_middle_is_an_error(tmp_path: Path) -> None:
    """A log with a wrong byte before its last frame is not opened."""
    path = tmp_path / "chain.log"
    chain = open_chain(path, Clock())
    sizes = []
    for nonce in range(3):
        chain.send_raw_transaction(sign(nonce))
        sizes.append(path.stat().st_size)
    chain.close()
    data = bytearray(path.read_bytes())
    data[sizes[0] + 40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ChainLogError, match="damaged before its end"):
        open_chain(path, Clock())
    assert bytes(data) == path.read_bytes()


def test_a_log_has_one_owner_and_one_chain_id(tmp_path: Path) -> None:
    """Two processes cannot append to one log, and a log of another chain is refused."""
    path = tmp_path / "chain.log"
    chain = open_chain(path, Clock())
    with pytest.raises(ChainLogError, match="in use"):
        open_chain(path, Clock())
    chain.close()
    with pytest.raises(ChainLogError, match="genesis of chain 5"):
        EmbeddedChain(path, 5, Clock())
    with pytest.raises(ChainLogError, match="failed before"):
        chain.send_raw_transaction(sign(0))


def test_transaction_rules() -> None:
    """Nonce, chain id, value, gas limit and signature are checked; a refused transaction leaves no block."""
    chain = open_chain(None, Clock())
    for raw, reason in [
        (sign(1), "nonce 1"),
        (sign(0, chainId=1), "chain id 1"),
        (sign(0, value=1), "insufficient funds"),
        (sign(0, gas=30_000_001), "above the block's"),
        (sign(0, gas=20_999), "gas"),
    ]:
        with pytest.raises(ExecutionRejected, match=reason):
            chain.send_raw_transaction(raw)
    with pytest.raises(TransactionError):
        chain.send_raw_transaction(sign(0)[:-1])
    assert 1 == len(chain.blocks)
    chain.send_raw_transaction(sign(0))
    with pytest.raises(ExecutionRejected, match="nonce 0"):
        chain.send_raw_transaction(sign(0))


def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    """What was asked between transactions changes no gas: a log executes the same without the questions."""
    path, clock = tmp_path / "chain.log", Clock()
    chain = open_chain(path, clock)
    # Creation code that stores what BALANCE says of a fixed address, and so pays for its first touch.
    probe = bytes.fromhex("73" + "ab" * 20 + "315f5560015f5500")
    for nonce in range(3):
        for address in (b"\xab" * 20, bytes.fromhex(TRADER.address[2:])):
            chain.balance(address)
            chain.code(address)
            chain.nonce(address)
            chain.call(address, b"\xab" * 20, b"")
            chain.call(address, b"", probe)
        chain.send_raw_transaction(sign(nonce, to="", data=probe, gas=200_000))
    blocks = list(chain.blocks)
    chain.close()
    again = open_chain(path, clock)
    assert blocks == again.blocks
    again.close()


def test_ether_moves_and_a_revert_is_mined() -> None:
    """Allocated ether moves; a reverted transaction is in its block and uses its nonce [SETTLE-15]."""
    owner, receiver = bytes.fromhex(OPERATOR.address[2:]), bytes.fromhex(TRADER.address[2:])
    chain = EmbeddedChain(None, CHAIN_ID, Clock(), {owner: 10**18})
    chain.send_raw_transaction(sign(0, value=7))
    assert (10**18 - 7, 7) == (chain.balance(owner), chain.balance(receiver))
    # Creation code that reverts at once.
    chain.send_raw_transaction(sign(1, to="", data=bytes.fromhex("5f5ffd"), gas=100_000))
    assert (2, False) == (chain.nonce(owner), chain.blocks[-1].transactions[0].outcome.success)
    assert 10**18 - 7 == chain.balance(owner)


def test_the_rpc_answers_like_a_node() -> None:
    """Errors have codes and reasons, blocks link by hash, receipts find their transactions."""
    chain, outcome = live(None, Clock())
    web3 = Web3(EmbeddedProvider(chain))
    assert web3.is_connected()
    assert CHAIN_ID == web3.eth.chain_id
    head = web3.eth.get_block("latest", full_transactions=True)
    assert web3.eth.get_block(head["number"] - 1)["hash"] == head["parentHash"]
    transaction = head["transactions"][0]
    assert not isinstance(transaction, bytes)
    receipt = web3.eth.get_transaction_receipt(transaction["hash"])
    assert (head["number"], 1) == (receipt["blockNumber"], receipt["status"])
    assert head == web3.eth.get_block(head["hash"], full_transactions=True)
    with pytest.raises(Web3RPCError, match="does not exist"):
        web3.manager.request_blocking("eth_mine", [])  # type: ignore[arg-type]
    with pytest.raises(Web3RPCError, match="latest block only"):
        web3.eth.get_balance(OPERATOR.address, 0)
    answer = web3.provider.make_request("eth_getBalance", ["zz"])  # type: ignore[arg-type]
    assert -32602 == answer["error"]["code"]
    stranger = SettlementClient(web3, TRADER, outcome.manifest)
    with pytest.raises(ContractLogicError, match="only the operator"):
        stranger.post_header(make_header(3, 1_750_003_600 * 10**9, 2))
    with pytest.raises(ContractLogicError, match="only the owner"):
        stranger.mint(TRADER.address, 1)
