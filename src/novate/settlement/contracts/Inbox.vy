#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Inbox
@license MIT
@notice One numbered queue of everything that the chain asks of the law: deposits, forced withdrawals, keys.
@dev What it holds: hashes and times of entries, no token and no right to one.
     Who may call: each kind has one writer, fixed at creation; a writer of zero means that nobody can append it.
     How does this stop: it has no owner, no pause and no upgrade. It stops when its writers do.
     Law: SETTLE-7 to SETTLE-9. Python twin of the hash: src/novate/protocol/inbox.py.
"""


event Entered:
    cursor: indexed(uint64)
    kind: uint8
    account: indexed(address)
    asset: uint8
    amount: uint256
    data: Bytes[DATA_BYTES_MAX]


DATA_BYTES_MAX: constant(uint256) = 1024
DEPOSIT: constant(uint8) = 1
FORCED_WITHDRAWAL: constant(uint8) = 2
AUTHORISE_KEY: constant(uint8) = 3
REVOKE_KEY: constant(uint8) = 4

vault: public(immutable(address))
escape: public(immutable(address))
keys: public(immutable(address))

count: public(uint64)
entryHash: public(HashMap[uint64, bytes32])
entryTime: public(HashMap[uint64, uint256])


@deploy
def __init__(vault_: address, escape_: address, keys_: address):
    """
    @notice Fix for ever who may append what.
    @param escape_ The writer of forced withdrawals, or zero for none.
    @param keys_ The writer of authorised and revoked keys, or zero for none.
    """
    assert vault_ != empty(address), "vault must not be zero"
    vault = vault_
    escape = escape_
    keys = keys_


@external
def append(kind: uint8, account: address, asset: uint8, amount: uint256, data: Bytes[DATA_BYTES_MAX]) -> uint64:
    """
    @notice Append the next entry and return its number. Only the writer of its kind.
    @dev Law: SETTLE-8, SETTLE-9.
    """
    if kind == DEPOSIT:
        assert msg.sender == vault, "only the vault"
    elif kind == FORCED_WITHDRAWAL:
        assert msg.sender == escape, "only the escape"
    else:
        assert kind == AUTHORISE_KEY or kind == REVOKE_KEY, "kind is unknown"
        assert msg.sender == keys, "only the keys"
    assert account != empty(address), "account must not be zero"

    cursor: uint64 = self.count + 1
    self.count = cursor
    self.entryHash[cursor] = keccak256(abi_encode(cursor, kind, account, asset, amount, keccak256(data)))
    self.entryTime[cursor] = block.timestamp
    log Entered(cursor=cursor, kind=kind, account=account, asset=asset, amount=amount, data=data)
    return cursor
