#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Keys
@license MIT
@notice Lets an owner authorise and revoke session keys on chain, past any operator: by a transaction of its own, or
        by a signature that anybody may bring. It writes what was asked into the Inbox, and the law does the rest.
@dev What it holds: which nonces an owner used and how often a key was revoked. No token.
     Who may call: an owner for its own account and sub-accounts; anyone with the owner's EIP-712 signature.
     A signature names owner, sub-account, key, every figure, a nonce, a deadline and the key's generation. Nonces may
     be used in any order and each once, so no lost signature blocks another. Revoking a key begins its next
     generation, so every authorisation of it that was signed before and not yet brought is void.
     How does this stop: it has no owner, no pause and no upgrade. It stops when the Inbox does.
     Law: SETTLE-36 to SETTLE-38, KEY-2, KEY-3. Python twin of the digests: src/novate/settlement/owner_signature.py.
"""


interface Queue:
    def append(kind: uint8, account: address, asset: uint8, amount: uint256, data: Bytes[DATA_BYTES_MAX]) -> uint64: nonpayable


interface Judge:
    def verify(owner: address, digest: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]) -> bool: nonpayable


struct Terms:
    scope: uint32
    expiresNs: uint64
    maxNotional: uint64
    maxDelta: uint64
    maxVega: uint64
    ratePerMinute: uint32


event Revoked:
    account: indexed(address)
    key: indexed(address)
    generation: uint256


DATA_BYTES_MAX: constant(uint256) = 1024
SIGNATURE_BYTES_MAX: constant(uint256) = 4096
AUTHORISE_KEY: constant(uint8) = 3
REVOKE_KEY: constant(uint8) = 4
SCOPE_MAX: constant(uint32) = 31
LIMIT_ATOMS_MAX: constant(uint64) = 1152921504606846976
RATE_MAX: constant(uint32) = 1000000
SUBACCOUNT_MAX: constant(uint32) = 2147483647
NS_PER_S: constant(uint256) = 1000000000
DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
AUTHORISE_TYPE: constant(bytes32) = keccak256(
    "AuthoriseKeyOnChain(address owner,uint32 subaccount,address key,uint32 scope,uint64 expiresNs,uint64 maxNotional,uint64 maxDelta,uint64 maxVega,uint32 ratePerMinute,uint256 generation,uint256 nonce,uint64 deadline)"
)
REVOKE_TYPE: constant(bytes32) = keccak256(
    "RevokeKeyOnChain(address owner,uint32 subaccount,address key,uint256 nonce,uint64 deadline)"
)
NAME_HASH: constant(bytes32) = keccak256("novate")
VERSION_HASH: constant(bytes32) = keccak256("1")

inbox: public(immutable(address))
owners: public(immutable(address))
settlement: public(immutable(address))

# Bit n of word w is set once the owner's nonce 256 w + n was used.
usedNonces: public(HashMap[address, HashMap[uint256, uint256]])
generation: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(inbox_: address, owners_: address, settlement_: address):
    """
    @notice Fix for ever where requests go, who judges signatures, and which deployment signatures name.
    @param owners_ An Owners contract. It calls strangers, so it must have no right in the Inbox.
    """
    assert inbox_ != empty(address), "inbox must not be zero"
    assert owners_.is_contract, "owners must be a contract"
    assert owners_ != inbox_, "owners must have no right in the inbox"
    assert settlement_ != empty(address), "settlement must not be zero"
    inbox = inbox_
    owners = owners_
    settlement = settlement_


@external
def authorise(subaccount: uint32, key: address, terms: Terms) -> uint64:
    """
    @notice Authorise a key for the caller's account (0) or one of its sub-accounts; return the Inbox's cursor.
    """
    return self._authorise(msg.sender, subaccount, key, terms)


@external
def revoke(subaccount: uint32, key: address) -> uint64:
    """
    @notice Revoke a key, and every authorisation of it that was signed and not yet brought.
    """
    return self._revoke(msg.sender, subaccount, key)


@external
def authoriseFor(
    owner: address,
    subaccount: uint32,
    key: address,
    terms: Terms,
    nonce: uint256,
    deadline: uint64,
    signature: Bytes[SIGNATURE_BYTES_MAX],
) -> uint64:
    """
    @notice Authorise a key by the owner's signature. Anyone may bring it, once, before its deadline.
    """
    account: address = self._account(owner, subaccount)
    self._use(owner, nonce, deadline)
    struct_hash: bytes32 = keccak256(
        abi_encode(
            AUTHORISE_TYPE,
            owner,
            subaccount,
            key,
            terms.scope,
            terms.expiresNs,
            terms.maxNotional,
            terms.maxDelta,
            terms.maxVega,
            terms.ratePerMinute,
            self.generation[account][key],
            nonce,
            deadline,
        )
    )
    self._require_signed(owner, struct_hash, signature)
    return self._authorise(owner, subaccount, key, terms)


@external
def revokeFor(
    owner: address,
    subaccount: uint32,
    key: address,
    nonce: uint256,
    deadline: uint64,
    signature: Bytes[SIGNATURE_BYTES_MAX],
) -> uint64:
    """
    @notice Revoke a key by the owner's signature. Anyone may bring it, once, before its deadline.
    """
    self._use(owner, nonce, deadline)
    struct_hash: bytes32 = keccak256(abi_encode(REVOKE_TYPE, owner, subaccount, key, nonce, deadline))
    self._require_signed(owner, struct_hash, signature)
    return self._revoke(owner, subaccount, key)


@external
@view
def isUsed(owner: address, nonce: uint256) -> bool:
    """
    @notice Say whether an owner's nonce was used.
    """
    return self.usedNonces[owner][nonce >> 8] & (1 << (nonce & 255)) != 0


@external
@view
def domainSeparator() -> bytes32:
    """
    @notice The EIP-712 domain, computed anew each time: after a fork of the chain it is another.
    """
    return self._domain()


@internal
@view
def _domain() -> bytes32:
    return keccak256(abi_encode(DOMAIN_TYPE, NAME_HASH, VERSION_HASH, chain.id, settlement))


@internal
@pure
def _account(owner: address, subaccount: uint32) -> address:
    """
    @dev Law: SUB-1. A sub-account's address is the end of a hash of the owner's.
    """
    assert subaccount <= SUBACCOUNT_MAX, "subaccount too large"
    if subaccount == 0:
        return owner
    digest: bytes32 = keccak256(concat(convert(owner, bytes20), convert(subaccount, bytes32)))
    return convert(convert(digest, uint256) & convert(max_value(uint160), uint256), address)


@internal
def _use(owner: address, nonce: uint256, deadline: uint64):
    """
    @dev Use up a nonce before anybody else is called.
    """
    assert owner != empty(address), "owner must not be zero"
    assert block.timestamp <= convert(deadline, uint256), "signature expired"
    bit: uint256 = 1 << (nonce & 255)
    used: uint256 = self.usedNonces[owner][nonce >> 8]
    assert used & bit == 0, "nonce already used"
    self.usedNonces[owner][nonce >> 8] = used + bit


@internal
def _require_signed(owner: address, struct_hash: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]):
    digest: bytes32 = keccak256(concat(x"1901", self._domain(), struct_hash))
    signed: bool = extcall Judge(owners).verify(owner, digest, signature)
    assert signed, "not signed by the owner"


@internal
def _authorise(owner: address, subaccount: uint32, key: address, terms: Terms) -> uint64:
    """
    @dev Law: KEY-3, as far as a contract can see. The law looks again when the entry's turn comes.
    """
    account: address = self._account(owner, subaccount)
    assert key != empty(address), "key must not be zero"
    assert key != owner and key != account, "key must not be the account's"
    assert terms.scope >= 1 and terms.scope <= SCOPE_MAX, "scope out of range"
    assert convert(terms.expiresNs, uint256) > block.timestamp * NS_PER_S, "key already expired"
    assert terms.maxNotional <= LIMIT_ATOMS_MAX, "limit too large"
    assert terms.maxDelta <= LIMIT_ATOMS_MAX, "limit too large"
    assert terms.maxVega <= LIMIT_ATOMS_MAX, "limit too large"
    assert terms.ratePerMinute <= RATE_MAX, "rate too large"
    data: Bytes[DATA_BYTES_MAX] = abi_encode(
        key,
        terms.scope,
        terms.expiresNs,
        terms.maxNotional,
        terms.maxDelta,
        terms.maxVega,
        terms.ratePerMinute,
    )
    return extcall Queue(inbox).append(AUTHORISE_KEY, account, 0, 0, data)


@internal
def _revoke(owner: address, subaccount: uint32, key: address) -> uint64:
    account: address = self._account(owner, subaccount)
    assert key != empty(address), "key must not be zero"
    next_generation: uint256 = self.generation[account][key] + 1
    self.generation[account][key] = next_generation
    log Revoked(account=account, key=key, generation=next_generation)
    data: Bytes[DATA_BYTES_MAX] = abi_encode(key)
    return extcall Queue(inbox).append(REVOKE_KEY, account, 0, 0, data)
