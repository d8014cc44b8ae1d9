#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title DepositBox
@license MIT
@notice The code behind every deposit box: an address of one account that takes plain transfers for the Vault.
@dev What it holds: tokens on their way, until anybody has them collected.
     Who may call: DepositBoxes alone, which makes boxes as minimal proxies of this one.
     How does this stop: it has no owner, no pause and no upgrade; it obeys one contract for ever.
     Law: SETTLE-19.
"""

from ethereum.ercs import IERC20


boxes: public(immutable(address))


@deploy
def __init__(boxes_: address):
    """
    @notice Fix for ever which contract may empty boxes.
    """
    assert boxes_ != empty(address), "boxes must not be zero"
    boxes = boxes_


@external
def sweep(token: address, receiver: address):
    """
    @notice Send the whole balance of a token. Only DepositBoxes.
    """
    assert msg.sender == boxes, "only the boxes"
    amount: uint256 = staticcall IERC20(token).balanceOf(self)
    assert amount > 0, "box is empty"
    success: bool = extcall IERC20(token).transfer(receiver, amount, default_return_value=True)
    assert success, "transfer refused"
