#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title DepositBoxes
@license MIT
@notice Gives every account an address that takes plain transfers, as exchanges make them, and deposits into the
        Vault what arrived there.
@dev What it holds: nothing between calls; the boxes hold what was not collected yet.
     Who may call: anyone collects into the account of a box; the account alone takes tokens back from its box.
     How does this stop: it has no owner, no pause and no upgrade. When the Vault refuses deposits an account still
     takes its tokens back.
     Law: SETTLE-19.
"""

from ethereum.ercs import IERC20


interface Vault:
    def token(asset: uint8) -> address: view
    def depositFor(asset: uint8, account: address, amount: uint256): nonpayable


interface Box:
    def sweep(token: address, receiver: address): nonpayable


event Collected:
    account: indexed(address)
    asset: uint8
    amount: uint256


# EIP-1167, in the form in which the compiler writes it.
PROXY_HEAD: constant(Bytes[19]) = x"602d3d8160093d39f3363d3d373d3d3d363d73"
PROXY_TAIL: constant(Bytes[15]) = x"5af43d82803e903d91602b57fd5bf3"
CREATE2_TAG: constant(bytes1) = 0xff

vault: public(immutable(address))
box: public(immutable(address))
boxCodeHash: immutable(bytes32)


@deploy
def __init__(vault_: address, box_: address):
    """
    @notice Fix for ever which vault is deposited into and which code the boxes run.
    """
    assert vault_.is_contract, "vault must be a contract"
    assert box_.is_contract, "box must be a contract"
    vault = vault_
    box = box_
    boxCodeHash = keccak256(concat(PROXY_HEAD, convert(box_, bytes20), PROXY_TAIL))


@external
def collect(asset: uint8, account: address):
    """
    @notice Deposit for an account what its box holds of an asset. Anyone may call.
    @dev Law: SETTLE-19. What arrived is measured here, and once more by the vault.
    """
    token: address = staticcall Vault(vault).token(asset)
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    extcall Box(self._open(account)).sweep(token, self)
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    amount: uint256 = balance_after - balance_before
    success: bool = extcall IERC20(token).approve(vault, amount, default_return_value=True)
    assert success, "approval refused"
    extcall Vault(vault).depositFor(asset, account, amount)
    log Collected(account=account, asset=asset, amount=amount)


@external
def recover(token: address):
    """
    @notice Send the caller all that its own box holds of any token.
    """
    extcall Box(self._open(msg.sender)).sweep(token, msg.sender)


@external
@view
def boxOf(account: address) -> address:
    """
    @notice Return the address whose plain transfers can be collected for an account, before it has code as well.
    """
    return self._find(account)


@internal
def _open(account: address) -> address:
    place: address = self._find(account)
    if not place.is_contract:
        created: address = create_minimal_proxy_to(box, salt=keccak256(abi_encode(account)))
        assert created == place, "box is elsewhere"
    return place


@internal
@view
def _find(account: address) -> address:
    salt: bytes32 = keccak256(abi_encode(account))
    digest: bytes32 = keccak256(concat(CREATE2_TAG, convert(self, bytes20), salt, boxCodeHash))
    return convert(convert(digest, uint256) & convert(max_value(uint160), uint256), address)
