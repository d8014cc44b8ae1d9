"""Measure the state tree's hash, the tree, and the embedded chain; assert what they end in."""

import tempfile
import time
from pathlib import Path

import numpy as np
from eth_account import Account
from web3 import Web3

from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.merkle import SparseTree
from novate.protocol.poseidon2 import compress4
from novate.protocol.poseidon2_kernel import compress_batch, join_limbs, split_limbs
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import deploy_contracts
from novate.settlement.embedded_chain import EmbeddedChain
from novate.verification.chain_record import replay_chain

PERMUTATIONS = 20_000
LEAVES = 10_000
DEPTH = 10
TRANSACTIONS = 500
CHAIN_ID = 31337


def report(name: str, seconds: float, count: int) -> None:
    print(f"{name:<44} {seconds / count * 1e6:10.2f} us each")


def measure_hash() -> None:
    row = [1, 2, 3, P - 1]
    inputs = np.array([[split_limbs(x) for x in row]] * PERMUTATIONS, dtype=np.uint64)
    out = np.empty((PERMUTATIONS, 4), dtype=np.uint64)
    compress_batch(inputs[:1], out[:1])
    start = time.perf_counter()
    compress_batch(inputs, out)
    report("Poseidon2 permutation, machine words", time.perf_counter() - start, PERMUTATIONS)
    start = time.perf_counter()
    for _ in range(200):
        expected = compress4(1, 2, 3, P - 1)
    report("Poseidon2 permutation, integers", time.perf_counter() - start, 200)
    assert expected == join_limbs(out[-1])


def measure_tree() -> None:
    tree = SparseTree(DEPTH)
    start = time.perf_counter()
    tree.update_many(range(LEAVES), range(1, LEAVES + 1))
    report(f"tree of depth {DEPTH}, {LEAVES} neighbouring leaves", time.perf_counter() - start, LEAVES)
    start = time.perf_counter()
    for index in range(200):
        tree.update_many([index * 5000], [index])
    report(f"tree of depth {DEPTH}, one leaf", time.perf_counter() - start, 200)


def measure_chain(folder: Path) -> None:
    operator = Account.from_key(b"\x01" * 32)
    chain = EmbeddedChain(folder / "chain.log", CHAIN_ID, lambda: 1_750_000_000)
    web3 = Web3(EmbeddedProvider(chain))
    manifest = deploy_contracts(
        web3,
        operator,
        operator=operator.address,
        genesis_hash=bytes(32),
        genesis_state_root=b"\x01" * 32,
        finality_delay_s=0,
    )
    client = SettlementClient(web3, operator, manifest)
    start = time.perf_counter()
    for _ in range(100):
        client.mint(operator.address, 1)
    report("transaction through web3.py", time.perf_counter() - start, 100)
    nonce = chain.nonce(bytes.fromhex(operator.address[2:]))
    call = {"type": 2, "chainId": CHAIN_ID, "to": operator.address, "value": 0, "gas": 21_000, "data": b""}
    raws = [
        bytes(
            operator.sign_transaction(
                {**call, "nonce": nonce + i, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
            ).raw_transaction
        )
        for i in range(TRANSACTIONS)
    ]
    start = time.perf_counter()
    for raw in raws:
        chain.send_raw_transaction(raw)
    report("signed transaction, durable", time.perf_counter() - start, TRANSACTIONS)
    count, balance = len(chain.blocks), client.token_balance(operator.address)
    chain.close()
    start = time.perf_counter()
    again = EmbeddedChain(folder / "chain.log", CHAIN_ID)
    report("block executed again at a restart", time.perf_counter() - start, count)
    assert (count, 100) == (len(again.blocks), balance)
    again.close()
    places = (manifest.settlement, manifest.inbox, manifest.vault)
    settlement, inbox, vault = (bytes.fromhex(address[2:]) for address in places)
    data = (folder / "chain.log").read_bytes()
    start = time.perf_counter()
    record = replay_chain(data, chain_id=CHAIN_ID, settlement=settlement, inbox=inbox, vault=vault)
    report("block verified from the log", time.perf_counter() - start, count)
    assert count - 1 == record.block_number


if __name__ == "__main__":
    measure_hash()
    measure_tree()
    with tempfile.TemporaryDirectory() as name:
        measure_chain(Path(name))
