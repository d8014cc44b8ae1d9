#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title TestUSD
@license MIT
@notice A token with six decimals that its owner mints at will, for demonstrations and tests. It has no value.
@dev How does this stop: it does not; deploy it only on chains whose tokens are worth nothing.
"""

from ethereum.ercs import IERC20

implements: IERC20


event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256


name: public(constant(String[8])) = "Test USD"
version: public(constant(String[1])) = "1"
symbol: public(constant(String[4])) = "TUSD"
decimals: public(constant(uint8)) = 6

HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
DOMAIN_TYPE: constant(Bytes[82]) = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
PERMIT_TYPE: constant(Bytes[84]) = (
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)

owner: public(immutable(address))
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])


@deploy
def __init__():
    """
    @notice The deployer is the owner for ever.
    """
    owner = msg.sender


@external
def mint(receiver: address, amount: uint256):
    """
    @notice Create tokens. Only the owner.
    """
    assert msg.sender == owner, "only the owner"
    assert receiver != empty(address), "receiver must not be zero"
    self.totalSupply += amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=empty(address), receiver=receiver, amount=amount)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    """
    @notice Move the caller's tokens.
    """
    self._move(msg.sender, receiver, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let a spender move up to an amount of the caller's tokens.
    """
    self.allowance[msg.sender][spender] = amount
    log Approval(owner=msg.sender, spender=spender, amount=amount)
    return True


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    """
    @notice Move another account's tokens within its allowance. An allowance of 2**256 - 1 is never used up.
    """
    allowed: uint256 = self.allowance[sender][msg.sender]
    assert allowed >= amount, "allowance too small"
    if allowed != max_value(uint256):
        self.allowance[sender][msg.sender] = allowed - amount
    self._move(sender, receiver, amount)
    return True


@external
def permit(owner_: address, spender: address, amount: uint256, deadline: uint256, v: uint8, r: bytes32, s: bytes32):
    """
    @notice Approve by the owner's EIP-2612 signature. Anyone may present it, once, until its deadline.
    """
    assert block.timestamp <= deadline, "permit expired"
    assert convert(s, uint256) <= HALF_ORDER, "signature is malleable"
    nonce: uint256 = self.nonces[owner_]
    message: bytes32 = keccak256(
        abi_encode(keccak256(PERMIT_TYPE), owner_, spender, amount, nonce, deadline)
    )
    digest: bytes32 = keccak256(concat(b"\x19\x01", self._hash_domain(), message))
    signer: address = ecrecover(digest, v, r, s)
    assert signer != empty(address) and signer == owner_, "signer is another"
    self.nonces[owner_] = nonce + 1
    self.allowance[owner_][spender] = amount
    log Approval(owner=owner_, spender=spender, amount=amount)


@external
@view
def DOMAIN_SEPARATOR() -> bytes32:
    """
    @notice Return the EIP-712 domain of permits.
    """
    return self._hash_domain()


@internal
@view
def _hash_domain() -> bytes32:
    return keccak256(
        abi_encode(keccak256(DOMAIN_TYPE), keccak256(b"Test USD"), keccak256(b"1"), chain.id, self)
    )


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert receiver != empty(address), "receiver must not be zero"
    assert self.balanceOf[sender] >= amount, "balance too small"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, amount=amount)
