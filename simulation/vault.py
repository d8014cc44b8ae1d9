"""The vault and its token as wallets use them: calls and transactions encoded by hand, without web3.

Production's client builds a contract object for every call, which would be most of what a seed costs. The
venue itself still uses it; only what people do with the chain goes this way.
"""

from collections.abc import Sequence

from coincurve import PrivateKey
from eth_abi.abi import decode as decode_abi
from eth_abi.abi import encode as encode_abi
from eth_account.signers.local import LocalAccount

from novate.protocol.frame import keccak256
from novate.protocol.transaction import encode_rlp_integer, encode_rlp_item, encode_rlp_list
from novate.protocol.withdrawals import Withdrawal
from novate.settlement.client import Deposit
from novate.settlement.embedded_chain import EmbeddedChain

DEPOSIT_GAS = 300_000
CLAIM_GAS = 500_000
NOBODY = bytes(20)
TYPE_2 = b"\x02"


def select(signature: str) -> bytes:
    """The first four bytes of a call to a function."""
    return keccak256(signature.encode())[:4]


DEPOSIT_FOR = select("depositFor(uint8,address,uint256)")
CLAIM = select("claim(uint64,uint64,uint8,address,uint256,bytes32[])")
IS_CLAIMED = select("isClaimed(uint64,uint64)")
BALANCE_OF = select("balanceOf(address)")
HEADER_HASH = select("headerHash(uint64)")
ENTERED = keccak256(b"Entered(uint64,uint8,address,uint8,uint256,bytes)")
CASH = 0


def get_bytes(address: str) -> bytes:
    """The 20 bytes of an address in text."""
    return bytes.fromhex(address[2:])


def sign_call(wallet: LocalAccount, nonce: int, chain_id: int, to: str, data: bytes, gas: int) -> bytes:
    """A signed transaction of type 2 that calls a contract, without fee or value."""
    numbers = [encode_rlp_integer(number) for number in (chain_id, nonce, 0, 0, gas)]
    terms = [*numbers, encode_rlp_item(get_bytes(to)), encode_rlp_integer(0), encode_rlp_item(data)]
    terms.append(encode_rlp_list([]))
    signed = PrivateKey(bytes(wallet.key)).sign_recoverable(
        keccak256(TYPE_2 + encode_rlp_list(terms)), hasher=None
    )
    parts = (signed[64], int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big"))
    return TYPE_2 + encode_rlp_list([*terms, *map(encode_rlp_integer, parts)])


def read_header_hash(chain: EmbeddedChain, settlement: str, number: int) -> bytes:
    """The hash of a batch's header on the chain."""
    return chain.call(NOBODY, get_bytes(settlement), HEADER_HASH + encode_abi(["uint64"], [number])).output


def encode_deposit(account: bytes, amount_atoms: int) -> bytes:
    """The call that pays into the vault for an account."""
    return DEPOSIT_FOR + encode_abi(["uint8", "address", "uint256"], [CASH, account, amount_atoms])


def encode_claim(withdrawal: Withdrawal, proof: Sequence[bytes]) -> bytes:
    """The call that takes a withdrawal out of the vault."""
    types = ["uint64", "uint64", "uint8", "address", "uint256", "bytes32[]"]
    place = [withdrawal.batch_number, withdrawal.leaf_index, withdrawal.asset]
    return CLAIM + encode_abi(types, [*place, withdrawal.account, withdrawal.amount_atoms, list(proof)])


def read_balance(chain: EmbeddedChain, token: str, holder: bytes) -> int:
    """The tokens that an address holds, in atoms."""
    outcome = chain.call(NOBODY, get_bytes(token), BALANCE_OF + encode_abi(["address"], [holder]))
    return int.from_bytes(outcome.output, "big")


def is_claimed(chain: EmbeddedChain, vault: str, withdrawal: Withdrawal) -> bool:
    """Whether a withdrawal was paid."""
    terms = encode_abi(["uint64", "uint64"], [withdrawal.batch_number, withdrawal.leaf_index])
    return any(chain.call(NOBODY, get_bytes(vault), IS_CLAIMED + terms).output)


def list_deposits(chain: EmbeddedChain, inbox: str) -> list[Deposit]:
    """Every deposit that stands on the chain, by cursor; nothing else enters this venue's inbox."""
    found, address = [], get_bytes(inbox)
    for block, mined in chain.iterate_transactions(0, len(chain.blocks)):
        for log in mined.outcome.logs:
            if log.address == address and log.topics[0] == ENTERED:
                cursor = int.from_bytes(log.topics[1], "big")
                _, _, amount, _ = decode_abi(["uint8", "uint8", "uint256", "bytes"], log.data)
                found.append(Deposit(cursor, log.topics[2][12:], amount, block.number))
    return found
