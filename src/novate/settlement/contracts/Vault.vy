#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Vault
@license MIT
@notice Holds the collateral of all accounts. It takes deposits from anyone and pays a withdrawal only against a
        final batch of the Settlement contract, once.
@dev What is credited is what arrived, and what leaves is what is owed: both are measured by the vault's own balance.
     Warning: a token that takes a fee or rebases credits less than was sent, and can freeze claims.
     How does this stop: it has no owner, no pause, no upgrade and no sweep. Nobody can move the token except by a
     proof; an accidental transfer to this address is lost.
     Law: SETTLE-7 to SETTLE-12. Python twin of the proof: src/novate/protocol/withdrawals.py.
"""

from ethereum.ercs import IERC20


interface BatchRegister:
    def isFinal(number: uint64) -> bool: view
    def withdrawalsRoot(number: uint64) -> bytes32: view


event Deposited:
    cursor: indexed(uint64)
    account: indexed(address)
    amount: uint256


event Claimed:
    batchNumber: indexed(uint64)
    index: indexed(uint64)
    account: indexed(address)
    amount: uint256


PROOF_HASHES_MAX: constant(uint256) = 32
# The law keeps balances in signed 64-bit atoms; one deposit may fill at most 2**60 of them.
DEPOSIT_ATOMS_MAX: constant(uint256) = 1152921504606846976
LEAF_TAG: constant(bytes1) = 0x00
NODE_TAG: constant(bytes1) = 0x01

token: public(immutable(address))
settlement: public(immutable(address))

depositCursor: public(uint64)
depositAccount: public(HashMap[uint64, address])
depositAmount: public(HashMap[uint64, uint256])
isClaimed: public(HashMap[uint64, HashMap[uint64, bool]])


@deploy
def __init__(token_: address, settlement_: address):
    """
    @notice Fix for ever which token is held and which contract says what is owed.
    """
    assert token_.is_contract, "token must be a contract"
    assert settlement_.is_contract, "settlement must be a contract"
    token = token_
    settlement = settlement_


@external
def deposit(amount: uint256):
    """
    @notice Credit the caller with what the vault receives from it.
    """
    self._deposit(msg.sender, amount)


@external
def depositFor(account: address, amount: uint256):
    """
    @notice Credit another account with what the vault receives from the caller.
    """
    self._deposit(account, amount)


@internal
def _deposit(account: address, amount: uint256):
    """
    @dev Law: SETTLE-7, SETTLE-8. The lock spans the transfer, so no second deposit can be counted twice.
    """
    assert account != empty(address), "account must not be zero"
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    # A token that returns nothing has succeeded; one that returns false has not.
    success: bool = extcall IERC20(token).transferFrom(msg.sender, self, amount, default_return_value=True)
    assert success, "transfer refused"
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert balance_after > balance_before, "nothing received"
    received: uint256 = balance_after - balance_before
    assert received <= DEPOSIT_ATOMS_MAX, "deposit too large"

    cursor: uint64 = self.depositCursor + 1
    self.depositCursor = cursor
    self.depositAccount[cursor] = account
    self.depositAmount[cursor] = received
    log Deposited(cursor=cursor, account=account, amount=received)


@external
def claim(
    batchNumber: uint64, index: uint64, account: address, amount: uint256, proof: DynArray[bytes32, PROOF_HASHES_MAX]
):
    """
    @notice Pay one withdrawal of a final batch to its account. Anyone may call; only the account is paid.
    @dev Law: SETTLE-9 to SETTLE-12. The claim is marked before the token is called.
    """
    final: bool = staticcall BatchRegister(settlement).isFinal(batchNumber)
    assert final, "batch is not final"
    assert not self.isClaimed[batchNumber][index], "already claimed"
    root: bytes32 = staticcall BatchRegister(settlement).withdrawalsRoot(batchNumber)
    assert root != empty(bytes32), "batch has no withdrawals"

    node: bytes32 = keccak256(concat(LEAF_TAG, abi_encode(batchNumber, index, account, amount)))
    for sibling: bytes32 in proof:
        if convert(node, uint256) < convert(sibling, uint256):
            node = keccak256(concat(NODE_TAG, node, sibling))
        else:
            node = keccak256(concat(NODE_TAG, sibling, node))
    assert node == root, "proof does not match"

    self.isClaimed[batchNumber][index] = True
    self._pay(account, amount)
    log Claimed(batchNumber=batchNumber, index=index, account=account, amount=amount)


@internal
def _pay(account: address, amount: uint256):
    """
    @dev The vault must lose exactly the amount, whatever the token says about it.
    """
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    success: bool = extcall IERC20(token).transfer(account, amount, default_return_value=True)
    assert success, "transfer refused"
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert balance_before == balance_after + amount, "wrong amount left"
