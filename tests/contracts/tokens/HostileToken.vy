#pragma version 0.4.3
#pragma evm-version cancun
"""
@title HostileToken
@notice An ERC-20 that misbehaves as told, for the vault's tests.
"""

HONEST: constant(uint256) = 0
RETURNS_FALSE: constant(uint256) = 1
TAKES_FEE: constant(uint256) = 2
REENTERS: constant(uint256) = 3
MOVES_NOTHING: constant(uint256) = 4
REVERTS: constant(uint256) = 5
MOVES_TWICE: constant(uint256) = 6

mode: public(uint256)
target: public(address)
payload: public(Bytes[2048])
reentryAllowed: public(bool)
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])


@external
def setMode(mode: uint256, target: address, payload: Bytes[2048]):
    self.mode = mode
    self.target = target
    self.payload = payload
    self.reentryAllowed = False


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount
    self.totalSupply += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    return self._move(sender, receiver, amount)


@external
def transfer(receiver: address, amount: uint256) -> bool:
    return self._move(msg.sender, receiver, amount)


@internal
def _move(sender: address, receiver: address, amount: uint256) -> bool:
    assert self.mode != REVERTS, "token reverts"
    if self.mode == RETURNS_FALSE:
        return False
    if self.mode == MOVES_NOTHING:
        return True
    moved: uint256 = amount
    if self.mode == MOVES_TWICE:
        moved = 2 * amount
    self.balanceOf[sender] -= moved
    if self.mode == TAKES_FEE:
        self.balanceOf[receiver] += moved - moved // 100
    else:
        self.balanceOf[receiver] += moved
    if self.mode == REENTERS:
        # The vault is entered again in the middle of its own transfer.
        self.reentryAllowed = raw_call(self.target, self.payload, revert_on_failure=False)
    return True
