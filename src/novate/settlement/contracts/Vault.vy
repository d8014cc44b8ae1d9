#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Vault
@license MIT
@notice Holds the collateral of all accounts. It takes deposits from anyone and pays a withdrawal only against a
        final batch of the Settlement contract, once.
@dev What it holds: up to eight tokens, fixed at creation; token 0 is cash. What is credited is what arrived, and
     what leaves is what is owed: both are measured by the vault's own balance. Warning: a token that takes a fee
     or rebases credits less than was sent, and can freeze claims of that token, but not of another.
     Who may call: anyone deposits and claims; the guardian, if there is one, can pause claims for 72 hours, once
     in 30 days, and a pause never stops Escape; Escape alone pays by `payEscape`, and only after the freeze.
     How does this stop: it has no owner, no upgrade and no sweep. A rate limit delays a claim by at most three
     days, a pause ends by itself, and after the freeze deposits are refused.
     Law: SETTLE-7, SETTLE-9 to SETTLE-12, SETTLE-19 to SETTLE-22. Python twin of the proof: src/novate/protocol/withdrawals.py.
"""

from ethereum.ercs import IERC20


interface BatchRegister:
    def isFinal(number: uint64) -> bool: view
    def withdrawalsRoot(number: uint64) -> bytes32: view
    def frozenAt() -> uint256: view


interface EntryQueue:
    def append(
        kind: uint8, account: address, asset: uint8, amount: uint256, data: Bytes[DATA_BYTES_MAX]
    ) -> uint64: nonpayable


event Reserved:
    batchNumber: indexed(uint64)
    index: indexed(uint64)
    account: indexed(address)
    asset: uint8
    amount: uint256
    payableAt: uint256


event Claimed:
    batchNumber: indexed(uint64)
    index: indexed(uint64)
    account: indexed(address)
    asset: uint8
    amount: uint256


event Escaped:
    account: indexed(address)
    asset: uint8
    amount: uint256


event Paused:
    until: uint256


ASSETS_MAX: constant(uint256) = 8
DATA_BYTES_MAX: constant(uint256) = 1024
PROOF_HASHES_MAX: constant(uint256) = 32
DEPOSIT: constant(uint8) = 1
# The law keeps cash in signed 64-bit atoms; one deposit may fill at most 2**60 of them. Other tokens have more digits.
CASH_DEPOSIT_MAX: constant(uint256) = 1152921504606846976
TOKEN_DEPOSIT_MAX: constant(uint256) = 79228162514264337593543950336
LEAF_TAG: constant(bytes1) = 0x00
NODE_TAG: constant(bytes1) = 0x01
DAY_S: constant(uint256) = 86400
WAIT_S_MAX: constant(uint256) = 259200
PAUSE_S: constant(uint256) = 259200
PAUSE_INTERVAL_S: constant(uint256) = 2592000
# Of what the vault holds a tenth may leave in a day, however low the fixed limit.
BALANCE_SHARE: constant(uint256) = 10

settlement: public(immutable(address))
inbox: public(immutable(address))
escape: public(immutable(address))
guardian: public(immutable(address))
assetCount: public(immutable(uint256))
tokens: immutable(address[ASSETS_MAX])
dayLimits: immutable(uint256[ASSETS_MAX])

claimedWords: HashMap[uint64, HashMap[uint256, uint256]]
payableAt: public(HashMap[bytes32, uint256])
paidAtoms: public(uint256[ASSETS_MAX])
reservedAtoms: public(uint256[ASSETS_MAX])
clearAt: public(uint256[ASSETS_MAX])
pausedAt: public(uint256)
pausedUntil: public(uint256)


@deploy
def __init__(
    tokens_: DynArray[address, ASSETS_MAX],
    day_limits: DynArray[uint256, ASSETS_MAX],
    settlement_: address,
    inbox_: address,
    escape_: address,
    guardian_: address,
):
    """
    @notice Fix for ever which tokens are held, who says what is owed, and who may pause.
    @dev Other contracts may be deployed after this one: their addresses are known beforehand.
    @param day_limits For each token, how many units may leave in a day without waiting; 0 is no limit.
    @param escape_ Zero if there is no escape; guardian_ zero if nobody can pause.
    """
    assert len(tokens_) > 0, "there must be a token"
    assert len(tokens_) == len(day_limits), "one limit for each token"
    assert settlement_ != empty(address), "settlement must not be zero"
    assert inbox_ != empty(address), "inbox must not be zero"
    held: address[ASSETS_MAX] = empty(address[ASSETS_MAX])
    limits: uint256[ASSETS_MAX] = empty(uint256[ASSETS_MAX])
    for i: uint256 in range(len(tokens_), bound=ASSETS_MAX):
        assert tokens_[i].is_contract, "token must be a contract"
        for j: uint256 in range(i, bound=ASSETS_MAX):
            assert held[j] != tokens_[i], "token is listed twice"
        held[i] = tokens_[i]
        limits[i] = day_limits[i]
    tokens = held
    dayLimits = limits
    assetCount = len(tokens_)
    settlement = settlement_
    inbox = inbox_
    escape = escape_
    guardian = guardian_


@external
def deposit(asset: uint8, amount: uint256):
    """
    @notice Credit the caller with what the vault receives from it.
    """
    self._deposit(asset, msg.sender, amount)


@external
def depositFor(asset: uint8, account: address, amount: uint256):
    """
    @notice Credit another account with what the vault receives from the caller.
    """
    self._deposit(asset, account, amount)


@external
def depositWithPermit(
    asset: uint8, account: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32
):
    """
    @notice Deposit the caller's tokens with its EIP-2612 signature in place of an approval.
    @dev Law: SETTLE-19. A permit that somebody used first has left its allowance, so its failure alone refuses nothing.
    """
    self._try_permit(self._token(asset), amount, deadline, v, r, s)
    self._deposit(asset, account, amount)


@external
def claim(
    batchNumber: uint64,
    index: uint64,
    asset: uint8,
    account: address,
    amount: uint256,
    proof: DynArray[bytes32, PROOF_HASHES_MAX],
):
    """
    @notice Pay one withdrawal of a final batch to its account, or give it a time at which it will be paid. Anyone
            may call; only the account is paid.
    @dev Law: SETTLE-9 to SETTLE-12. The claim is marked before the token is called.
    """
    self._require_unpaused()
    token: address = self._token(asset)
    final: bool = staticcall BatchRegister(settlement).isFinal(batchNumber)
    assert final, "batch is not final"
    root: bytes32 = staticcall BatchRegister(settlement).withdrawalsRoot(batchNumber)
    assert root != empty(bytes32), "batch has no withdrawals"
    leaf: bytes32 = self._hash_leaf(batchNumber, index, asset, account, amount)
    self._mark(batchNumber, index)
    self._prove(leaf, root, proof)

    payable_at: uint256 = self._schedule(asset, token, amount)
    if payable_at > block.timestamp:
        self.payableAt[leaf] = payable_at
        self.reservedAtoms[asset] += amount
        log Reserved(
            batchNumber=batchNumber, index=index, account=account, asset=asset, amount=amount, payableAt=payable_at
        )
        return
    self.paidAtoms[asset] += amount
    self._pay(token, account, amount)
    log Claimed(batchNumber=batchNumber, index=index, account=account, asset=asset, amount=amount)


@external
def release(batchNumber: uint64, index: uint64, asset: uint8, account: address, amount: uint256):
    """
    @notice Pay a claim whose time has come. Anyone may call; only the account is paid.
    @dev Law: SETTLE-20. Only a proven claim has a time.
    """
    self._require_unpaused()
    leaf: bytes32 = self._hash_leaf(batchNumber, index, asset, account, amount)
    payable_at: uint256 = self.payableAt[leaf]
    assert payable_at > 0, "nothing is reserved"
    assert block.timestamp >= payable_at, "too early"
    self.payableAt[leaf] = 0
    self.reservedAtoms[asset] -= amount
    self.paidAtoms[asset] += amount
    self._pay(self._token(asset), account, amount)
    log Claimed(batchNumber=batchNumber, index=index, account=account, asset=asset, amount=amount)


@external
def payEscape(asset: uint8, account: address, amount: uint256):
    """
    @notice Pay what the Escape contract has proven. Only Escape, only after the freeze; no pause stops it.
    @dev Law: SETTLE-22.
    """
    assert msg.sender == escape, "only the escape"
    frozen_at: uint256 = staticcall BatchRegister(settlement).frozenAt()
    assert frozen_at > 0, "not frozen"
    self._pay(self._token(asset), account, amount)
    log Escaped(account=account, asset=asset, amount=amount)


@external
def pause():
    """
    @notice Stop claims for 72 hours. Only the guardian, once in 30 days.
    @dev Law: SETTLE-21.
    """
    assert msg.sender == guardian, "only the guardian"
    assert block.timestamp >= self.pausedAt + PAUSE_INTERVAL_S, "paused too recently"
    self.pausedAt = block.timestamp
    self.pausedUntil = block.timestamp + PAUSE_S
    log Paused(until=block.timestamp + PAUSE_S)


@external
def unpause():
    """
    @notice End a pause early. Only the guardian.
    """
    assert msg.sender == guardian, "only the guardian"
    self.pausedUntil = 0
    log Paused(until=0)


@external
@view
def token(asset: uint8) -> address:
    """
    @notice Return the token of an asset; asset 0 is cash.
    """
    return self._token(asset)


@external
@view
def dayLimit(asset: uint8) -> uint256:
    """
    @notice Return how much of an asset may leave in a day without waiting, however little is held; 0 is no limit.
    """
    return dayLimits[asset]


@external
@view
def isClaimed(batchNumber: uint64, index: uint64) -> bool:
    """
    @notice Say whether a withdrawal was claimed: paid, or given its time.
    """
    place: uint256 = convert(index, uint256)
    return (self.claimedWords[batchNumber][place >> 8] >> (place & 255)) & 1 == 1


@internal
@view
def _require_unpaused():
    assert block.timestamp >= self.pausedUntil, "paused"


@internal
@view
def _require_live():
    frozen_at: uint256 = staticcall BatchRegister(settlement).frozenAt()
    assert frozen_at == 0, "frozen"


@internal
@view
def _token(asset: uint8) -> address:
    assert convert(asset, uint256) < assetCount, "asset is unknown"
    return tokens[asset]


@internal
def _try_permit(token: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    data: Bytes[228] = concat(
        method_id("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"),
        abi_encode(msg.sender, self, amount, deadline, v, r, s),
    )
    success: bool = raw_call(token, data, revert_on_failure=False)


@internal
def _deposit(asset: uint8, account: address, amount: uint256):
    """
    @dev Law: SETTLE-7. The lock spans the transfer, so no second deposit can be counted twice.
    """
    self._require_live()
    token: address = self._token(asset)
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    # A token that returns nothing has succeeded; one that returns false has not.
    success: bool = extcall IERC20(token).transferFrom(msg.sender, self, amount, default_return_value=True)
    assert success, "transfer refused"
    self._credit(asset, token, account, balance_before)


@internal
def _credit(asset: uint8, token: address, account: address, balance_before: uint256):
    assert account != empty(address), "account must not be zero"
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert balance_after > balance_before, "nothing received"
    received: uint256 = balance_after - balance_before
    assert received <= TOKEN_DEPOSIT_MAX, "deposit too large"
    if asset == 0:
        assert received <= CASH_DEPOSIT_MAX, "deposit too large"
    extcall EntryQueue(inbox).append(DEPOSIT, account, asset, received, b"")


@internal
@pure
def _hash_leaf(batchNumber: uint64, index: uint64, asset: uint8, account: address, amount: uint256) -> bytes32:
    return keccak256(concat(LEAF_TAG, abi_encode(batchNumber, index, asset, account, amount)))


@internal
def _mark(batchNumber: uint64, index: uint64):
    place: uint256 = convert(index, uint256)
    word: uint256 = self.claimedWords[batchNumber][place >> 8]
    bit: uint256 = 1 << (place & 255)
    assert word & bit == 0, "already claimed"
    self.claimedWords[batchNumber][place >> 8] = word + bit


@internal
@pure
def _prove(leaf: bytes32, root: bytes32, proof: DynArray[bytes32, PROOF_HASHES_MAX]):
    node: bytes32 = leaf
    for sibling: bytes32 in proof:
        if convert(node, uint256) < convert(sibling, uint256):
            node = keccak256(concat(NODE_TAG, node, sibling))
        else:
            node = keccak256(concat(NODE_TAG, sibling, node))
    assert node == root, "proof does not match"


@internal
def _schedule(asset: uint8, token: address, amount: uint256) -> uint256:
    """
    @dev Law: SETTLE-20. A queue drained at a daily rate, with a day's worth free; nobody waits beyond the bound.
    """
    limit: uint256 = dayLimits[asset]
    if limit == 0:
        return block.timestamp
    balance: uint256 = staticcall IERC20(token).balanceOf(self)
    limit = max(limit, self._div_floor(balance, BALANCE_SHARE))
    start: uint256 = max(self.clearAt[asset], block.timestamp - DAY_S)
    end: uint256 = start + self._div_ceil(amount * DAY_S, limit)
    end = min(end, block.timestamp + WAIT_S_MAX)
    self.clearAt[asset] = end
    return max(end, block.timestamp)


@internal
def _pay(token: address, account: address, amount: uint256):
    """
    @dev The vault must lose exactly the amount, whatever the token says about it.
    """
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    success: bool = extcall IERC20(token).transfer(account, amount, default_return_value=True)
    assert success, "transfer refused"
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert balance_before == balance_after + amount, "wrong amount left"


@internal
@pure
def _div_floor(a: uint256, b: uint256) -> uint256:
    return a // b


@internal
@pure
def _div_ceil(a: uint256, b: uint256) -> uint256:
    return (a + b - 1) // b
