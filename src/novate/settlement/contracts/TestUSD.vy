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
symbol: public(constant(String[4])) = "TUSD"
decimals: public(constant(uint8)) = 6

owner: public(immutable(address))
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


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


@internal
def _move(sender: address, receiver: address, amount: uint256):
    assert receiver != empty(address), "receiver must not be zero"
    assert self.balanceOf[sender] >= amount, "balance too small"
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, amount=amount)
