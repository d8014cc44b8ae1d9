"""Session keys by way of the chain, for an owner whom the operator does not serve or whose wallet cannot
sign commands. Implements the sending side of [SETTLE-36].
"""

from collections.abc import Callable

from eth_utils.address import to_checksum_address
from web3 import Web3
from web3.types import TxReceipt

from novate.settlement.client import Sender
from novate.settlement.compiler import compile_contract
from novate.settlement.owner_signature import (
    Domain,
    KeyTerms,
    compute_subaccount,
    hash_authorise,
    hash_revoke,
)

# Takes a digest and returns the owner's signature in one of the shapes of `owner_signature`.
Signer = Callable[[bytes], bytes]


class KeysClient:
    """One Keys contract. `sender` pays for gas: the owner itself, or anyone who brings what it signed."""

    def __init__(self, web3: Web3, sender: Sender, address: str) -> None:
        self.address = to_checksum_address(address)
        self._sender = sender
        self._contract = web3.eth.contract(address=self.address, abi=compile_contract("Keys").abi)
        settlement = to_checksum_address(self._contract.functions.settlement().call())
        self.domain = Domain(web3.eth.chain_id, settlement)

    def find_nonce(self, owner: str, first: int = 0, count_max: int = 4096) -> int:
        """Return the lowest nonce from `first` on that an owner has not used."""
        for nonce in range(first, first + count_max):
            if not self._contract.functions.isUsed(to_checksum_address(owner), nonce).call():
                return nonce
        raise ValueError(f"the {count_max} nonces from {first} on are used")

    def generation(self, owner: str, subaccount: int, key: str) -> int:
        """Return how often a key of an account was revoked on chain."""
        account = compute_subaccount(owner, subaccount)
        return int(self._contract.functions.generation(account, to_checksum_address(key)).call())

    def authorise(self, subaccount: int, key: str, terms: KeyTerms) -> TxReceipt:
        """Authorise a key for an account of the sender."""
        return self._sender.call(self.address, "Keys", "authorise", subaccount, key, tuple(terms))

    def revoke(self, subaccount: int, key: str) -> TxReceipt:
        """Revoke a key of an account of the sender."""
        return self._sender.call(self.address, "Keys", "revoke", subaccount, key)

    def authorise_for(
        self, owner: str, subaccount: int, key: str, terms: KeyTerms, deadline_s: int, sign: Signer
    ) -> TxReceipt:
        """Bring an owner's authorisation of a key."""
        nonce, generation = self.find_nonce(owner), self.generation(owner, subaccount, key)
        struct = hash_authorise(owner, subaccount, key, terms, generation, nonce, deadline_s)
        signature = sign(self.domain.digest(struct))
        arguments = (owner, subaccount, key, tuple(terms), nonce, deadline_s, signature)
        return self._sender.call(self.address, "Keys", "authoriseFor", *arguments)

    def revoke_for(self, owner: str, subaccount: int, key: str, deadline_s: int, sign: Signer) -> TxReceipt:
        """Bring an owner's revocation of a key."""
        nonce = self.find_nonce(owner)
        signature = sign(self.domain.digest(hash_revoke(owner, subaccount, key, nonce, deadline_s)))
        arguments = (owner, subaccount, key, nonce, deadline_s, signature)
        return self._sender.call(self.address, "Keys", "revokeFor", *arguments)
