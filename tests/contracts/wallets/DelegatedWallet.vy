#pragma version 0.4.3
#pragma evm-version cancun
"""
@title DelegatedWallet
@notice Code for an account that delegates to it (EIP-7702): it consents to what a guardian key signed.
"""

guardian: public(immutable(address))


@deploy
def __init__(guardian_: address):
    guardian = guardian_


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[4096]) -> bytes4:
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    r: uint256 = convert(slice(signature, 0, 32), uint256)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    if ecrecover(digest, v, r, s) == guardian:
        return 0x1626ba7e
    return 0xffffffff


@external
def act(target: address, data: Bytes[4096]):
    assert msg.sender == self or msg.sender == guardian
    raw_call(target, data)
