#pragma version 0.4.3
#pragma evm-version cancun
"""
@title OneKeyWallet
@notice A smart account of one key, as simple as those that were robbed in 2023: it judges the digest as it comes.
"""

key: public(immutable(address))


@deploy
def __init__(key_: address):
    key = key_


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[4096]) -> bytes4:
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    r: uint256 = convert(slice(signature, 0, 32), uint256)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    if ecrecover(digest, v, r, s) == key:
        return 0x1626ba7e
    return 0xffffffff


@external
def act(target: address, data: Bytes[4096]):
    assert msg.sender == key
    raw_call(target, data)
