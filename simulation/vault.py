"""The vault and its token as wallets use them: calls and transactions encoded by hand, without web3.

Production's client builds a contract object for every call, which would be most of what a seed costs. The
venue itself still uses it; only what people do with the chain goes this way.
"""

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import decode as decode_abi
from eth_abi.abi import encode as encode_abi
from eth_account.signers.local import LocalAccount

from novate.protocol.frame import keccak256
from novate.protocol.withdrawals import Withdrawal
from novate.settlement.client import Deposit
from novate.settlement.embedded_chain import EmbeddedChain

DEPOSIT_GAS = 300_000
CLAIM_GAS = 500_000
NOBODY = bytes(20)


def select(signature: str) -> bytes:
    """The first four bytes of a call to a function."""
    return keccak256(signature.encode())[:4]


DEPOSIT_FOR = select("depositFor(address,uint256)")
CLAIM = select("claim(uint64,uint64,address,uint256,bytes32[])")
IS_CLAIMED = select("isClaimed(uint64,uint64)")
BALANCE_OF = select("balanceOf(address)")
DEPOSITED = keccak256(b"Deposited(uint64,address,uint256)")


def get_bytes(address: str) -> bytes:
    """The 20 bytes of an address in text."""
    return bytes.fromhex(address[2:])


def sign_call(wallet: LocalAccount, nonce: int, chain_id: int, to: str, data: bytes, gas: int) -> bytes:
    """A signed transaction that calls a contract."""
    transaction: dict[str, Any] = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "maxPriorityFeePerGas": 0,
        "maxFeePerGas": 0,
        "value": 0,
        "gas": gas,
        "to": to,
        "data": data,
    }
    return bytes(wallet.sign_transaction(transaction).raw_transaction)


def encode_deposit(account: bytes, amount_atoms: int) -> bytes:
    """The call that pays into the vault for an account."""
    return DEPOSIT_FOR + encode_abi(["address", "uint256"], [account, amount_atoms])


def encode_claim(withdrawal: Withdrawal, proof: Sequence[bytes]) -> bytes:
    """The call that takes a withdrawal out of the vault."""
    types = ["uint64", "uint64", "address", "uint256", "bytes32[]"]
    terms = [withdrawal.batch_number, withdrawal.leaf_index, withdrawal.account, withdrawal.amount_atoms]
    return CLAIM + encode_abi(types, [*terms, list(proof)])


def read_balance(chain: EmbeddedChain, token: str, holder: bytes) -> int:
    """The tokens that an address holds, in atoms."""
    outcome = chain.call(NOBODY, get_bytes(token), BALANCE_OF + encode_abi(["address"], [holder]))
    return int.from_bytes(outcome.output, "big")


def is_claimed(chain: EmbeddedChain, vault: str, withdrawal: Withdrawal) -> bool:
    """Whether a withdrawal was paid."""
    terms = encode_abi(["uint64", "uint64"], [withdrawal.batch_number, withdrawal.leaf_index])
    return any(chain.call(NOBODY, get_bytes(vault), IS_CLAIMED + terms).output)


def list_deposits(chain: EmbeddedChain, vault: str) -> list[Deposit]:
    """Every deposit that stands on the chain, by cursor."""
    found, address = [], get_bytes(vault)
    for block, mined in chain.iterate_transactions(0, len(chain.blocks)):
        for log in mined.outcome.logs:
            if log.address == address and log.topics[0] == DEPOSITED:
                cursor = int.from_bytes(log.topics[1], "big")
                (amount,) = decode_abi(["uint256"], log.data)
                found.append(Deposit(cursor, log.topics[2][12:], amount, block.number))
    return found
