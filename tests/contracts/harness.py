"""A small world of contracts on revm: roles with addresses, a clock, calls that return or raise Reverted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eth_abi.abi import decode, encode
from eth_utils.abi import abi_to_signature, function_signature_to_4byte_selector
from pyrevm import EVM, BlockEnv, CfgEnv, Env

from novate.protocol.frame import keccak256
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

EXIT_WINDOW_S, UPGRADE_DELAY_S = 21 * 86_400, 30 * 86_400
RETURN_DELAY_S, EPOCH_S, UNBONDING_S = 14 * 86_400, 86_400, 31 * 86_400
BOND_MIN, STAKE_MIN = 50_000, 1_000
ZERO = "0x" + "00" * 20
INSURANCE, GUARDIAN, GOVERNOR, ESCAPE = (
    f"0x{byte:02x}" + "00" * 18 + "77" for byte in (0x50, 0x60, 0x70, 0x80)
)

ENTERED_TOPIC = keccak256(b"Entered(uint64,uint8,address,uint8,uint256,bytes)")

# A change of one contract's source: the text to find and what takes its place.
Mutation = tuple[str, str, str]


class Config(NamedTuple):
    """Which parts beyond the core a world has. The parties are plain addresses, so tests can act for them."""

    operator: str = OPERATOR
    escape: str = ZERO
    keys: str = ZERO
    guardian: str = ZERO
    governor: str = ZERO
    verifier: str = ZERO
    members: tuple[str, ...] = ()
    quorum: int = 0
    bond_min: int = 0
    day_limit: int = 0
    other_tokens: tuple[str, ...] = ()


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
    """Token, Settlement, Inbox and Vault, freshly deployed; one block per call, the clock moved by hand."""

    def __init__(
        self,
        level: str = "gas",
        mutation: Mutation | None = None,
        token: str = "TestUSD",
        config: Config | None = None,
    ) -> None:
        self._create(level, mutation, token)
        self._deploy_core(config or Config())

    def _create(self, level: str, mutation: Mutation | None, token: str) -> None:
        """Begin a chain with one token on it."""
        self._begin(level, mutation, 31337)
        self.token = self.deploy_token(token)

    def _begin(self, level: str, mutation: Mutation | None, chain_id: int) -> None:
        """Begin a chain with nothing on it."""
        self.evm: Any = EVM(spec_id="CANCUN", gas_limit=30_000_000, env=Env(cfg=CfgEnv(chain_id=chain_id)))
        self.now_s = START_S
        self.gas_used = 0
        self.calls = 0
        self._entered_s = 0
        self._codecs: dict[tuple[str, str], tuple[bytes, list[str], list[str]]] = {}
        self.logs: list[Any] = []
        self.entered: list[int] = []
        self.last_owed: list[Withdrawal] = []
        self._level, self._mutation = level, mutation

    def deploy_token(self, name: str) -> Contract:
        """Deploy one of the tokens."""
        own = name == "TestUSD"
        return self.deploy(name, read_source(name) if own else (TOKENS / f"{name}.vy").read_text())

    def _deploy_core(self, config: "Config") -> None:
        others = [self.deploy_token(name) for name in config.other_tokens]
        self.tokens = [self.token, *others]
        nonce = self.evm.basic(DEPLOYER).nonce
        settlement, inbox, vault, box, boxes, bond, validators = (
            compute_create_address(DEPLOYER, nonce + place) for place in range(7)
        )
        if not config.bond_min:
            bond, validators = ZERO, bond
        validators = validators if config.members else ZERO
        escape = config.escape
        parties = (config.operator, vault, inbox, escape, bond, config.governor, validators, config.verifier)
        delays = (FINALITY_DELAY_S, UPGRADE_DELAY_S, EXIT_WINDOW_S)
        self.settlement = self.deploy_own("Settlement", parties, GENESIS_HASH, GENESIS_ROOT, *delays)
        self.inbox = self.deploy_own("Inbox", vault, escape, config.keys)
        tokens = [token.address for token in self.tokens]
        limits = [config.day_limit] * len(tokens)
        self.vault = self.deploy_own("Vault", tokens, limits, settlement, inbox, escape, config.guardian)
        self.box = self.deploy_own("DepositBox", boxes)
        self.boxes = self.deploy_own("DepositBoxes", vault, box)
        cash = self.token.address
        if config.bond_min:
            arguments = (cash, settlement, INSURANCE, config.bond_min, RETURN_DELAY_S)
            self.bond = self.deploy_own("Bond", *arguments)
        if config.members:
            staking = (config.quorum, STAKE_MIN, EPOCH_S, UNBONDING_S, 0)
            self.validators = self.deploy_own(
                "Validators", cash, settlement, INSURANCE, list(config.members), *staking
            )
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
        self.calls += 1
        if self._entered_s != self.now_s:
            self._entered_s = self.now_s
            self.evm.set_block_env(
                BlockEnv(
                    number=1, timestamp=self.now_s, basefee=0, gas_limit=30_000_000, prevrandao=bytes(32)
                )
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
            self._note_entries()
            self.evm.commit()
            self.evm.reset_transient_storage()

    def _note_entries(self) -> None:
        """Keep the amounts that the inbox logs, in their order."""
        if self.evm.result and self.evm.result.is_success:
            for log in self.logs:
                topics, data = log.data
                if bytes(topics[0]) == ENTERED_TOPIC:
                    self.entered.append(int.from_bytes(data[64:96], "big"))

    def _find_codec(self, contract: Contract, name: str) -> tuple[bytes, list[str], list[str]]:
        """Return a function's selector and the types of what goes in and comes out."""
        codec = self._codecs.get((contract.address, name))
        if codec is None:
            item: Mapping[str, Any] = contract.abi[name]
            selector = function_signature_to_4byte_selector(abi_to_signature(item))
            codec = (selector, describe_types(item["inputs"]), describe_types(item["outputs"]))
            self._codecs[contract.address, name] = codec
        return codec

    def encode_call(self, contract: Contract, name: str, *arguments: object) -> bytes:
        """Return calldata."""
        selector, inputs, _ = self._find_codec(contract, name)
        return selector + encode(inputs, arguments)

    def call(self, sender: str, contract: Contract, name: str, *arguments: object, gas: int = GAS) -> Any:
        """Send a transaction to a function and return its value; raise Reverted with the reason."""
        data = self.encode_call(contract, name, *arguments)
        output = self._transact(
            lambda: self.evm.message_call(sender, contract.address, calldata=data, gas=gas, gas_price=0)
        )
        values = decode(self._find_codec(contract, name)[2], bytes(output))
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
        self.call(account, self.vault, "deposit", 0, amount)

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
            inbox_cursor=self.view(self.inbox, "count"),
            withdrawals_root=compute_withdrawals_root(leaves),
            marks_root=b"\x44" * 32,
            data_hash=b"\x55" * 32,
            time_ns=self.now_s * 10**9,
        )

    def submit(self, header: BatchHeader, sender: str = OPERATOR) -> None:
        """Submit a header."""
        self.call(sender, self.settlement, "submit", tuple(header))

    def owe(self, *amounts: int, account: str = DEPOSITOR, asset: int = 0) -> list[Withdrawal]:
        """Post a batch that owes these amounts to an account and return the withdrawals."""
        number = self.view(self.settlement, "batchCount") + 1
        withdrawals = [
            Withdrawal(number, index, bytes.fromhex(account[2:]), amount, asset)
            for index, amount in enumerate(amounts)
        ]
        self.submit(self.next_header(withdrawals))
        self.last_owed = withdrawals
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
        number, leaf_index, account, amount, asset = withdrawals[index]
        return number, leaf_index, asset, "0x" + account.hex(), amount, proof

    def vault_balance(self) -> int:
        """Return the vault's tokens."""
        return int(self.view(self.token, "balanceOf", self.vault.address))
