#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Bond
@license MIT
@notice The operator's bond in cash, lost to whoever presents two things that the operator signed and that cannot
        both be true: two receipts of one sequence, or two headers of one number.
@dev What it holds: the operator's bond.
     Who may call: anyone pays in and presents; the operator alone takes back, after a delay.
     How does this stop: it has no owner, no pause and no upgrade. Without a bond Settlement takes no batch; the
     delayed return always ends.
     Law: SETTLE-28, SETTLE-29.
"""

from ethereum.ercs import IERC20


interface BatchRegister:
    def operator() -> address: view
    def headerHash(number: uint64) -> bytes32: view


struct Signature:
    v: uint8
    r: bytes32
    s: bytes32


event BondChanged:
    amount: uint256


event Slashed:
    presenter: indexed(address)
    amount: uint256


REWARD_SHARE: constant(uint256) = 10
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
DOMAIN_TYPE: constant(Bytes[82]) = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
RECEIPT_TYPE: constant(Bytes[43]) = b"Receipt(uint64 sequence,bytes32 frameHash)"
HEADER_TYPE: constant(Bytes[43]) = b"Header(uint64 number,bytes32 headerHash)"

token: public(immutable(address))
settlement: public(immutable(address))
insurance: public(immutable(address))
bondMin: public(immutable(uint256))
returnDelay: public(immutable(uint256))

amount: public(uint256)
leavingAmount: public(uint256)
leavingAt: public(uint256)


@deploy
def __init__(token_: address, settlement_: address, insurance_: address, bond_min: uint256, return_delay_s: uint256):
    """
    @notice Fix for ever the token, whose operator is bound, and how much and how long.
    @param insurance_ Receives what is slashed, but for the presenter's tenth.
    @param return_delay_s Seconds in which what leaves can still be slashed, at least a day.
    """
    assert token_.is_contract, "token must be a contract"
    assert settlement_.is_contract, "settlement must be a contract"
    assert insurance_ != empty(address), "insurance must not be zero"
    assert bond_min > 0, "bond must not be zero"
    assert return_delay_s >= 86400, "return delay too short"
    token = token_
    settlement = settlement_
    insurance = insurance_
    bondMin = bond_min
    returnDelay = return_delay_s


@external
def deposit(units: uint256):
    """
    @notice Add to the operator's bond what arrives from the caller.
    """
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    success: bool = extcall IERC20(token).transferFrom(msg.sender, self, units, default_return_value=True)
    assert success, "transfer refused"
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert balance_after > balance_before, "nothing received"
    self.amount += balance_after - balance_before
    log BondChanged(amount=self.amount)


@external
def leave(units: uint256):
    """
    @notice Begin to take back a part of the bond. Only the operator.
    @dev Law: SETTLE-28. What leaves no longer counts and can be slashed until it is withdrawn.
    """
    assert msg.sender == self._operator(), "only the operator"
    assert units > 0, "nothing leaves"
    assert self.amount >= units, "bond too small"
    self.amount -= units
    self.leavingAmount += units
    self.leavingAt = block.timestamp + returnDelay
    log BondChanged(amount=self.amount)


@external
def withdraw():
    """
    @notice Pay the operator what left, after the delay. Only the operator.
    """
    assert msg.sender == self._operator(), "only the operator"
    units: uint256 = self.leavingAmount
    assert units > 0, "nothing leaves"
    assert block.timestamp >= self.leavingAt, "too early"
    self.leavingAmount = 0
    self._pay(msg.sender, units)


@external
def slashReceipts(
    sequence: uint64, first_hash: bytes32, first: Signature, second_hash: bytes32, second: Signature
):
    """
    @notice Take the bond for two signed receipts of one sequence. Anyone may call.
    @dev Law: SETTLE-29.
    """
    assert first_hash != second_hash, "receipts are the same"
    self._require_signed(keccak256(abi_encode(keccak256(RECEIPT_TYPE), sequence, first_hash)), first)
    self._require_signed(keccak256(abi_encode(keccak256(RECEIPT_TYPE), sequence, second_hash)), second)
    self._slash()


@external
def slashHeaders(number: uint64, first_hash: bytes32, first: Signature, second_hash: bytes32, second: Signature):
    """
    @notice Take the bond for two signed headers of one number. Anyone may call.
    @dev Law: SETTLE-29.
    """
    assert first_hash != second_hash, "headers are the same"
    self._require_signed(keccak256(abi_encode(keccak256(HEADER_TYPE), number, first_hash)), first)
    self._require_signed(keccak256(abi_encode(keccak256(HEADER_TYPE), number, second_hash)), second)
    self._slash()


@external
def slashPosted(number: uint64, signed_hash: bytes32, signature: Signature):
    """
    @notice Take the bond for a signed header that is not the one posted under its number. Anyone may call.
    @dev Law: SETTLE-29.
    """
    posted: bytes32 = staticcall BatchRegister(settlement).headerHash(number)
    assert posted != empty(bytes32), "batch was not posted"
    assert posted != signed_hash, "headers are the same"
    self._require_signed(keccak256(abi_encode(keccak256(HEADER_TYPE), number, signed_hash)), signature)
    self._slash()


@external
@view
def isBonded() -> bool:
    """
    @notice Say whether the bond is large enough for a batch to be submitted.
    """
    return self.amount >= bondMin


@internal
@view
def _operator() -> address:
    return staticcall BatchRegister(settlement).operator()


@internal
@view
def _require_signed(message: bytes32, signature: Signature):
    """
    @dev The chain id is read each time: after a fork of the chain a signature serves one side only.
    """
    domain: bytes32 = keccak256(
        abi_encode(keccak256(DOMAIN_TYPE), keccak256(b"novate"), keccak256(b"1"), chain.id, settlement)
    )
    assert convert(signature.s, uint256) <= HALF_ORDER, "signature is malleable"
    assert signature.v == 27 or signature.v == 28, "signature is malformed"
    digest: bytes32 = keccak256(concat(b"\x19\x01", domain, message))
    signer: address = ecrecover(digest, signature.v, signature.r, signature.s)
    assert signer != empty(address), "signature is malformed"
    assert signer == self._operator(), "signer is another"


@internal
def _slash():
    units: uint256 = self.amount + self.leavingAmount
    assert units > 0, "nothing to slash"
    self.amount = 0
    self.leavingAmount = 0
    reward: uint256 = self._div_floor(units, REWARD_SHARE)
    self._pay(msg.sender, reward)
    self._pay(insurance, units - reward)
    log Slashed(presenter=msg.sender, amount=units)


@internal
def _pay(receiver: address, units: uint256):
    success: bool = extcall IERC20(token).transfer(receiver, units, default_return_value=True)
    assert success, "transfer refused"


@internal
@pure
def _div_floor(a: uint256, b: uint256) -> uint256:
    return a // b
