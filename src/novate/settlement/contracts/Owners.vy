#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Owners
@license MIT
@notice Says whether the owner of an address signed a digest, whatever kind of owner it is: a key of secp256k1, a
        contract (ERC-1271), a contract that is not there yet (ERC-6492), a delegated account (EIP-7702: either
        way), or a key of P-256 on a chain that has the precompile, signed raw or as a passkey (WebAuthn).
@dev What it holds: nothing, no token, no right and no state. It must stay so: for ERC-6492 it calls whatever the
     signature names, so whoever trusts this address as a caller can be robbed.
     Who may call: anyone.
     How does this stop: it has no owner, no pause and no upgrade, and nothing to stop.
     Warning: a contract's consent can change from block to block. Ask at the moment of use.
     Law: SETTLE-37. Python twin: src/novate/settlement/owner_signature.py.
"""


interface Wallet:
    def isValidSignature(digest: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]) -> bytes4: view


SIGNATURE_BYTES_MAX: constant(uint256) = 4096
FACTORY_BYTES_MAX: constant(uint256) = 1952
CLIENT_BYTES_MAX: constant(uint256) = 512
WALLET_GAS: constant(uint256) = 500000
FACTORY_GAS: constant(uint256) = 3000000
ECDSA_BYTES: constant(uint256) = 65
P256_BYTES: constant(uint256) = 128
AUTHENTICATOR_BYTES_MIN: constant(uint256) = 37
CONSENT: constant(bytes4) = 0x1626ba7e
WRAPPED: constant(bytes32) = 0x6492649264926492649264926492649264926492649264926492649264926492
P256_VERIFY: constant(address) = 0x0000000000000000000000000000000000000100
SECP256K1_HALF: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
P256_HALF: constant(uint256) = 57896044605178124381348723474703786764998477612067880171211129530534256022184
# {"type":"webauthn.get","challenge":" as the specification of WebAuthn has every client write it.
CLIENT_PREFIX: constant(Bytes[36]) = x"7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a22"


@external
def verify(owner: address, digest: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]) -> bool:
    """
    @notice Say whether `owner` signed `digest`. A contract that reverts makes this revert.
    @dev A key comes before a contract: a delegated account (EIP-7702) keeps its key. Law: SETTLE-37.
    """
    size: uint256 = len(signature)
    if owner == empty(address) or size < 32:
        return False
    if convert(slice(signature, size - 32, 32), bytes32) == WRAPPED:
        return self._verify_wrapped(owner, digest, slice(signature, 0, size - 32))
    if size == ECDSA_BYTES:
        if self._recover(digest, signature) == owner:
            return True
    if owner.is_contract:
        return self._ask_wallet(owner, digest, signature)
    if size == P256_BYTES:
        return self._verify_p256(owner, digest, slice(signature, 0, 128))
    if size > P256_BYTES:
        return self._verify_passkey(owner, digest, signature)
    return False


@internal
@pure
def _recover(digest: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]) -> address:
    """
    @dev The signer of r, s, v, or zero. The malleated twin (high s) is nobody's.
    """
    r: uint256 = convert(slice(signature, 0, 32), uint256)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if s > SECP256K1_HALF:
        return empty(address)
    if v != 27 and v != 28:
        return empty(address)
    return ecrecover(digest, v, r, s)


@internal
@view
def _ask_wallet(owner: address, digest: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]) -> bool:
    """
    @dev ERC-1271, with a cap of gas and no way to change anything.
    """
    answer: bytes4 = staticcall Wallet(owner).isValidSignature(digest, signature, gas=WALLET_GAS)
    return answer == CONSENT


@internal
def _verify_wrapped(owner: address, digest: bytes32, wrapped: Bytes[SIGNATURE_BYTES_MAX]) -> bool:
    """
    @dev ERC-6492: create the wallet if it is not there, then ask it. The call is made by this contract, which has
         no right anywhere.
    """
    factory: address = empty(address)
    call: Bytes[FACTORY_BYTES_MAX] = b""
    signature: Bytes[FACTORY_BYTES_MAX] = b""
    factory, call, signature = abi_decode(wrapped, (address, Bytes[FACTORY_BYTES_MAX], Bytes[FACTORY_BYTES_MAX]))
    if not owner.is_contract:
        raw_call(factory, call, gas=FACTORY_GAS)
    if not owner.is_contract:
        return False
    return self._ask_wallet(owner, digest, signature)


@internal
@view
def _verify_p256(owner: address, digest: bytes32, signature: Bytes[P256_BYTES]) -> bool:
    """
    @dev r, s, x, y of 32 bytes. The address of a P-256 key is the last 20 bytes of keccak(x, y). On a chain without
         the precompile the call succeeds and returns nothing, which is no consent.
    """
    if convert(slice(signature, 32, 32), uint256) > P256_HALF:
        return False
    key_hash: bytes32 = keccak256(slice(signature, 64, 64))
    if convert(convert(key_hash, uint256) & convert(max_value(uint160), uint256), address) != owner:
        return False
    answer: Bytes[32] = raw_call(
        P256_VERIFY, concat(digest, signature), max_outsize=32, is_static_call=True
    )
    if len(answer) != 32:
        return False
    return convert(answer, uint256) == 1


@internal
@view
def _verify_passkey(owner: address, digest: bytes32, signature: Bytes[SIGNATURE_BYTES_MAX]) -> bool:
    """
    @dev abi.encode(r, s, x, y, authenticatorData, rest of clientDataJSON behind the challenge). The device signs
         sha256(authenticatorData || sha256(clientDataJSON)), the challenge in it is the digest in base64url.
    """
    r: bytes32 = empty(bytes32)
    s: bytes32 = empty(bytes32)
    x: bytes32 = empty(bytes32)
    y: bytes32 = empty(bytes32)
    authenticator: Bytes[CLIENT_BYTES_MAX] = b""
    rest: Bytes[CLIENT_BYTES_MAX] = b""
    r, s, x, y, authenticator, rest = abi_decode(
        signature, (bytes32, bytes32, bytes32, bytes32, Bytes[CLIENT_BYTES_MAX], Bytes[CLIENT_BYTES_MAX])
    )
    if len(authenticator) < AUTHENTICATOR_BYTES_MIN or len(rest) < 2:
        return False
    # Bit 0 of the flags: somebody touched the device.
    if convert(slice(authenticator, 32, 1), uint256) & 1 == 0:
        return False
    # The challenge must end where the digest ends.
    if slice(rest, 0, 1) != b"\x22":
        return False
    client_hash: bytes32 = sha256(concat(CLIENT_PREFIX, self._encode_challenge(digest), rest))
    message: bytes32 = sha256(concat(authenticator, client_hash))
    return self._verify_p256(owner, message, concat(r, s, x, y))


@internal
@pure
def _encode_challenge(digest: bytes32) -> Bytes[43]:
    """
    @dev Base64url without padding: 42 characters of six bits and one of the last four.
    """
    bits: uint256 = convert(digest, uint256)
    head: uint256 = 0
    tail: uint256 = 0
    for i: uint256 in range(32):
        head = (head << 8) + self._encode_character((bits >> (250 - 6 * i)) & 63)
    for i: uint256 in range(32, 42):
        tail = (tail << 8) + self._encode_character((bits >> (250 - 6 * i)) & 63)
    tail = (tail << 8) + self._encode_character((bits & 15) << 2)
    return concat(convert(head, bytes32), slice(convert(tail << 168, bytes32), 0, 11))


@internal
@pure
def _encode_character(sextet: uint256) -> uint256:
    """
    @dev The code of A to Z, a to z, 0 to 9, - and _ in this order.
    """
    if sextet < 26:
        return sextet + 65
    if sextet < 52:
        return sextet + 71
    if sextet < 62:
        return sextet - 4
    if sextet == 62:
        return 45
    return 95
