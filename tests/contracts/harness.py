"""A small world of contracts on revm: roles with addresses, a clock, calls that return or raise Reverted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eth_abi.abi import decode, encode
from eth_utils.abi import abi_to_signature, function_signature_to_4byte_selector
from pyrevm import EVM, BlockEnv, CfgEnv, Env

from novate.protocol.header import BatchHeader
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.chain_rpc import describe_revert
from novate.settlement.client import compute_create_address
from novate.settlement.compiler import CompiledContract, compile_source, read_source
from novate.settlement.evm import REVERT_OUTPUT

TOKENS = Path(__file__).parent / "tokens"
OPERATOR, DEPOSITOR, STRANGER, DEPLOYER = (
    f"0x{byte:02x}" + "00" * 18 + "77" for byte in (0x10, 0x20, 0x30, 0x40)
)
GENESIS_HASH = b"\x11" * 32
GENESIS_ROOT = b"\x22" * 32
FINALITY_DELAY_S = 600
START_S = 1_750_000_000
GAS = 5_000_000

# A change of one contract's source: the text to find and what takes its place.
Mutation = tuple[str, str, str]


class Reverted(Exception):
    """A call that the contract refused; the argument is its reason."""


class Contract(NamedTuple):
    """A deployed contract."""

    address: str
    abi: dict[str, dict[str, Any]]


def describe_types(items: list[dict[str, Any]]) -> list[str]:
    """Return canonical ABI types, tuples written out."""
    names = []
    for item in items:
        inner = f"({','.join(describe_types(item['components']))})" if "components" in item else ""
        names.append(item["type"].replace("tuple", inner) if inner else item["type"])
    return names


class World:
    """Token, Settlement and Vault, freshly deployed; one block per call, the clock moved by hand."""

    def __init__(self, level: str = "gas", mutation: Mutation | None = None, token: str = "TestUSD") -> None:
        self.evm: Any = EVM(spec_id="CANCUN", gas_limit=30_000_000, env=Env(cfg=CfgEnv(chain_id=31337)))
        self.now_s = START_S
        self.gas_used = 0
        self.logs: list[Any] = []
        self._level, self._mutation = level, mutation
        own = token == "TestUSD"
        source = read_source(token) if own else (TOKENS / f"{token}.vy").read_text()
        self.token = self.deploy(token, source)
        nonce = self.evm.basic(DEPLOYER).nonce
        vault = compute_create_address(DEPLOYER, nonce + 1)
        self.settlement = self.deploy_own(
            "Settlement", OPERATOR, vault, GENESIS_HASH, GENESIS_ROOT, FINALITY_DELAY_S
        )
        self.vault = self.deploy_own("Vault", self.token.address, self.settlement.address)
        assert vault.lower() == self.vault.address.lower()

    def deploy_own(self, name: str, *arguments: object) -> Contract:
        """Deploy one of the house's contracts, mutated if this world asks for it."""
        source = read_source(name)
        if self._mutation is not None and self._mutation[0] == name:
            _, old, new = self._mutation
            assert 1 == source.count(old), "A mutation should change exactly one place."
            source = source.replace(old, new)
        return self.deploy(name, source, *arguments)

    def deploy(self, name: str, source: str, *arguments: object) -> Contract:
        """Deploy a contract from its source."""
        compiled: CompiledContract = compile_source(name, source, self._level)
        abi = {item.get("name", item["type"]): item for item in compiled.abi}
        types = describe_types(abi["constructor"]["inputs"]) if "constructor" in abi else []
        code = compiled.creation_code + encode(types, arguments)
        address = self._transact(lambda: self.evm.deploy(DEPLOYER, code, gas=GAS, gas_price=0))
        return Contract(address, abi)

    def _transact(self, run: Any) -> Any:
        self.evm.set_block_env(
            BlockEnv(number=1, timestamp=self.now_s, basefee=0, gas_limit=30_000_000, prevrandao=bytes(32))
        )
        self.evm.snapshot()
        try:
            return run()
        except RuntimeError as error:
            match = REVERT_OUTPUT.search(str(error))
            reason = describe_revert(bytes.fromhex(match.group(1))) if match else str(error)
            raise Reverted(reason.removeprefix("execution reverted: ")) from error
        finally:
            self.gas_used = self.evm.result.gas_used if self.evm.result else 0
            self.logs = self.evm.result.logs if self.evm.result else []
            self.evm.commit()
            self.evm.reset_transient_storage()

    def encode_call(self, contract: Contract, name: str, *arguments: object) -> bytes:
        """Return calldata."""
        item: Mapping[str, Any] = contract.abi[name]
        selector = function_signature_to_4byte_selector(abi_to_signature(item))
        return selector + encode(describe_types(item["inputs"]), arguments)

    def call(self, sender: str, contract: Contract, name: str, *arguments: object, gas: int = GAS) -> Any:
        """Send a transaction to a function and return its value; raise Reverted with the reason."""
        data = self.encode_call(contract, name, *arguments)
        output = self._transact(
            lambda: self.evm.message_call(sender, contract.address, calldata=data, gas=gas, gas_price=0)
        )
        values = decode(describe_types(contract.abi[name]["outputs"]), bytes(output))
        return values[0] if len(values) == 1 else None

    def view(self, contract: Contract, name: str, *arguments: object) -> Any:
        """Return the value of a view."""
        return self.call(STRANGER, contract, name, *arguments)

    def fund(self, account: str, amount: int) -> None:
        """Mint tokens for an account and let the vault take them."""
        self.call(DEPLOYER, self.token, "mint", account, amount)
        self.call(account, self.token, "approve", self.vault.address, 2**256 - 1)

    def deposit(self, amount: int, account: str = DEPOSITOR) -> None:
        """Mint and deposit."""
        self.fund(account, amount)
        self.call(account, self.vault, "deposit", amount)

    def next_header(self, withdrawals: list[Withdrawal] | None = None) -> BatchHeader:
        """Return a lawful next header that owes these withdrawals."""
        count = self.view(self.settlement, "batchCount")
        last = self.view(self.settlement, "lastSequence")
        leaves = [hash_withdrawal(withdrawal) for withdrawal in withdrawals or []]
        return BatchHeader(
            number=count + 1,
            previous_state_root=self.view(self.settlement, "stateRoot"),
            state_root=(count + 1000).to_bytes(32, "big"),
            first_sequence=last + 1,
            last_sequence=last + 7,
            journal_head=b"\x33" * 32,
            deposit_cursor=self.view(self.vault, "depositCursor"),
            withdrawals_root=compute_withdrawals_root(leaves),
            marks_root=b"\x44" * 32,
            data_hash=b"\x55" * 32,
            time_ns=self.now_s * 10**9,
        )

    def submit(self, header: BatchHeader, sender: str = OPERATOR) -> None:
        """Submit a header."""
        self.call(sender, self.settlement, "submit", tuple(header))

    def owe(self, *amounts: int, account: str = DEPOSITOR) -> list[Withdrawal]:
        """Post a batch that owes these amounts to an account and return the withdrawals."""
        number = self.view(self.settlement, "batchCount") + 1
        withdrawals = [
            Withdrawal(number, index, bytes.fromhex(account[2:]), amount)
            for index, amount in enumerate(amounts)
        ]
        self.submit(self.next_header(withdrawals))
        return withdrawals

    def finalise(self) -> None:
        """Let the finality delay pass."""
        self.now_s += FINALITY_DELAY_S

    def claim(self, withdrawals: list[Withdrawal], index: int, sender: str = STRANGER) -> None:
        """Claim one of a batch's withdrawals with its proof."""
        self.call(sender, self.vault, "claim", *self.claim_arguments(withdrawals, index))

    def claim_arguments(self, withdrawals: list[Withdrawal], index: int) -> tuple[object, ...]:
        """Return the arguments of a lawful claim."""
        proof = prove_withdrawal([hash_withdrawal(withdrawal) for withdrawal in withdrawals], index)
        number, leaf_index, account, amount = withdrawals[index]
        return number, leaf_index, "0x" + account.hex(), amount, proof

    def vault_balance(self) -> int:
        """Return the vault's tokens."""
        return int(self.view(self.token, "balanceOf", self.vault.address))
