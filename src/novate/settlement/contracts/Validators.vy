#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Validators
@license MIT
@notice A quorum of k of n staked validators that attests posted batch headers, one after the other.
@dev What it holds: the stakes of validators, in cash.
     Who may call: anyone presents signatures; a validator stakes, leaves and withdraws for itself; the sitting
     quorum alone names the next set. There is no owner: the first set is fixed at creation.
     How does this stop: if the quorum is lost no batch is attested, so none becomes final, and Escape's deadline
     lets everybody leave. Stakes can be withdrawn after the unbonding time whatever happens.
     Law: SETTLE-24 to SETTLE-27. A validator must sign a header only once it stands on a final block of the chain:
     two headers of one number are proof of its fault, whoever made it see them.
"""

from ethereum.ercs import IERC20


interface BatchRegister:
    def headerHash(number: uint64) -> bytes32: view
    def finalityDelay() -> uint256: view


struct Signature:
    v: uint8
    r: bytes32
    s: bytes32


event Attested:
    number: indexed(uint64)
    headerHash: bytes32


event SetChanged:
    epoch: indexed(uint64)
    quorum: uint256
    members: DynArray[address, MEMBERS_MAX]


event StakeChanged:
    validator: indexed(address)
    amount: uint256


event Slashed:
    validator: indexed(address)
    presenter: indexed(address)
    amount: uint256


MEMBERS_MAX: constant(uint256) = 32
REWARD_SHARE: constant(uint256) = 10
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
DOMAIN_TYPE: constant(Bytes[82]) = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
ATTESTATION_TYPE: constant(Bytes[61]) = b"Attestation(uint64 epoch,uint64 number,bytes32 headerHash)"
ROTATION_TYPE: constant(Bytes[67]) = b"Rotation(uint64 epoch,uint256 quorum,address[] members)"

token: public(immutable(address))
settlement: public(immutable(address))
insurance: public(immutable(address))
stakeMin: public(immutable(uint256))
epochLength: public(immutable(uint256))
unbondingDelay: public(immutable(uint256))

epoch: public(uint64)
epochStart: public(uint256)
quorum: public(uint256)
memberCount: public(uint256)
attestedCount: public(uint64)
firstMembers: DynArray[address, MEMBERS_MAX]
# A member of the sitting set has the sitting epoch here.
seatEpoch: public(HashMap[address, uint64])
stakeOf: public(HashMap[address, uint256])
leavingOf: public(HashMap[address, uint256])
leavingAt: public(HashMap[address, uint256])


@deploy
def __init__(
    token_: address,
    settlement_: address,
    insurance_: address,
    members: DynArray[address, MEMBERS_MAX],
    quorum_: uint256,
    stake_min: uint256,
    epoch_length_s: uint256,
    unbonding_delay_s: uint256,
    attested_count: uint64,
):
    """
    @notice Fix for ever the token of stakes and the delays, and the first set, which sits once all have staked.
    @param insurance_ Receives what a slashed validator loses, but for the presenter's tenth.
    @param attested_count Batches that an earlier quorum attested; 0 for the first.
    """
    assert token_.is_contract, "token must be a contract"
    assert settlement_.is_contract, "settlement must be a contract"
    assert insurance_ != empty(address), "insurance must not be zero"
    assert stake_min > 0, "stake must not be zero"
    finality_delay: uint256 = staticcall BatchRegister(settlement_).finalityDelay()
    assert unbonding_delay_s > finality_delay, "unbonding too short"
    token = token_
    settlement = settlement_
    insurance = insurance_
    stakeMin = stake_min
    epochLength = epoch_length_s
    unbondingDelay = unbonding_delay_s
    self.attestedCount = attested_count
    self._check_set(members, quorum_)
    self.firstMembers = members
    self.quorum = quorum_


@external
def stake(amount: uint256):
    """
    @notice Add to the caller's stake what arrives from it. A stake alone gives no seat.
    """
    balance_before: uint256 = staticcall IERC20(token).balanceOf(self)
    success: bool = extcall IERC20(token).transferFrom(msg.sender, self, amount, default_return_value=True)
    assert success, "transfer refused"
    balance_after: uint256 = staticcall IERC20(token).balanceOf(self)
    assert balance_after > balance_before, "nothing received"
    self.stakeOf[msg.sender] += balance_after - balance_before
    log StakeChanged(validator=msg.sender, amount=self.stakeOf[msg.sender])


@external
def leave(amount: uint256):
    """
    @notice Begin to withdraw from the caller's stake; below the least stake the caller gives up its seat.
    @dev Law: SETTLE-26. What leaves can be slashed until it is withdrawn; leaving again starts the time anew.
    """
    assert amount > 0, "nothing leaves"
    assert self.stakeOf[msg.sender] >= amount, "stake too small"
    self.stakeOf[msg.sender] -= amount
    self.leavingOf[msg.sender] += amount
    self.leavingAt[msg.sender] = block.timestamp + unbondingDelay
    if self.stakeOf[msg.sender] < stakeMin:
        self._unseat(msg.sender)
    log StakeChanged(validator=msg.sender, amount=self.stakeOf[msg.sender])


@external
def withdraw():
    """
    @notice Pay the caller what it withdrew from its stake, after the unbonding time.
    """
    amount: uint256 = self.leavingOf[msg.sender]
    assert amount > 0, "nothing leaves"
    assert block.timestamp >= self.leavingAt[msg.sender], "too early"
    self.leavingOf[msg.sender] = 0
    self._pay(msg.sender, amount)


@external
def open():
    """
    @notice Seat the first set once each of its members has staked. Anyone may call, once.
    """
    assert self.epoch == 0, "already open"
    self._seat(self.firstMembers, self.quorum)


@external
def rotate(members: DynArray[address, MEMBERS_MAX], quorum_: uint256, signatures: DynArray[Signature, MEMBERS_MAX]):
    """
    @notice Seat the next set, signed by the sitting quorum. Anyone may call.
    @dev Law: SETTLE-25. The signed epoch is the next one, so no signature serves twice.
    """
    assert self.epoch > 0, "not open"
    assert block.timestamp >= self.epochStart + epochLength, "epoch is not over"
    self._check_set(members, quorum_)
    words: address[MEMBERS_MAX] = empty(address[MEMBERS_MAX])
    for i: uint256 in range(len(members), bound=MEMBERS_MAX):
        words[i] = members[i]
    members_hash: bytes32 = keccak256(slice(abi_encode(words), 0, 32 * len(members)))
    message: bytes32 = keccak256(abi_encode(keccak256(ROTATION_TYPE), self.epoch + 1, quorum_, members_hash))
    self._require_quorum(self._digest(message), signatures)
    self._seat(members, quorum_)


@external
def attest(number: uint64, signatures: DynArray[Signature, MEMBERS_MAX]):
    """
    @notice Attest the next posted batch with the signatures of a quorum. Anyone may call.
    @dev Law: SETTLE-24.
    """
    assert self.epoch > 0, "not open"
    assert number == self.attestedCount + 1, "number must be the next"
    header_hash: bytes32 = staticcall BatchRegister(settlement).headerHash(number)
    assert header_hash != empty(bytes32), "batch was not posted"
    self._require_quorum(self._hash_attestation(self.epoch, number, header_hash), signatures)
    self.attestedCount = number
    log Attested(number=number, headerHash=header_hash)


@external
def slash(
    validator: address,
    number: uint64,
    first_epoch: uint64,
    first_hash: bytes32,
    first_signature: Signature,
    second_epoch: uint64,
    second_hash: bytes32,
    second_signature: Signature,
):
    """
    @notice Take the whole stake of a validator that signed two headers of one number. Anyone may call.
    @dev Law: SETTLE-27. A tenth goes to the presenter, the rest to the insurance.
    """
    assert first_hash != second_hash, "headers are the same"
    first: address = self._recover(self._hash_attestation(first_epoch, number, first_hash), first_signature)
    second: address = self._recover(self._hash_attestation(second_epoch, number, second_hash), second_signature)
    assert first == validator and second == validator, "signer is another"
    amount: uint256 = self.stakeOf[validator] + self.leavingOf[validator]
    assert amount > 0, "nothing to slash"
    self.stakeOf[validator] = 0
    self.leavingOf[validator] = 0
    self._unseat(validator)
    reward: uint256 = self._div_floor(amount, REWARD_SHARE)
    self._pay(msg.sender, reward)
    self._pay(insurance, amount - reward)
    log Slashed(validator=validator, presenter=msg.sender, amount=amount)


@external
@view
def attestationDigest(epoch_: uint64, number: uint64, header_hash: bytes32) -> bytes32:
    """
    @notice Return what a validator signs to attest a header in an epoch.
    """
    return self._hash_attestation(epoch_, number, header_hash)


@external
@view
def isMember(validator: address) -> bool:
    """
    @notice Say whether a validator has a seat in the sitting set.
    """
    return self.epoch > 0 and self.seatEpoch[validator] == self.epoch


@internal
@pure
def _check_set(members: DynArray[address, MEMBERS_MAX], quorum_: uint256):
    """
    @dev Ascending, so no member is named twice and none is zero. More than two thirds must sign: two quorums share
         more than a third, and whoever signs in both of two that disagree can be slashed.
    """
    last: uint256 = 0
    for member: address in members:
        assert convert(member, uint256) > last, "members must ascend"
        last = convert(member, uint256)
    assert quorum_ <= len(members), "quorum above the members"
    assert 3 * quorum_ > 2 * len(members), "quorum too small"


@internal
def _seat(members: DynArray[address, MEMBERS_MAX], quorum_: uint256):
    epoch_: uint64 = self.epoch + 1
    for member: address in members:
        assert self.stakeOf[member] >= stakeMin, "member has not staked"
        self.seatEpoch[member] = epoch_
    self.epoch = epoch_
    self.epochStart = block.timestamp
    self.quorum = quorum_
    self.memberCount = len(members)
    log SetChanged(epoch=epoch_, quorum=quorum_, members=members)


@internal
def _unseat(validator: address):
    """
    @dev The quorum stays as it is: a set that shrinks never attests with fewer.
    """
    if self.epoch > 0 and self.seatEpoch[validator] == self.epoch:
        self.seatEpoch[validator] = 0
        self.memberCount -= 1


@internal
@view
def _require_quorum(digest: bytes32, signatures: DynArray[Signature, MEMBERS_MAX]):
    """
    @dev Signers ascend, so none counts twice. The quorum is at least one, for two thirds of any set are above zero.
    """
    assert len(signatures) >= self.quorum, "too few signatures"
    epoch_: uint64 = self.epoch
    last: uint256 = 0
    for signature: Signature in signatures:
        signer: address = self._recover(digest, signature)
        assert convert(signer, uint256) > last, "signers must ascend"
        assert self.seatEpoch[signer] == epoch_, "signer is no member"
        last = convert(signer, uint256)


@internal
@pure
def _recover(digest: bytes32, signature: Signature) -> address:
    assert convert(signature.s, uint256) <= HALF_ORDER, "signature is malleable"
    assert signature.v == 27 or signature.v == 28, "signature is malformed"
    signer: address = ecrecover(digest, signature.v, signature.r, signature.s)
    assert signer != empty(address), "signature is malformed"
    return signer


@internal
@view
def _hash_attestation(epoch_: uint64, number: uint64, header_hash: bytes32) -> bytes32:
    return self._digest(keccak256(abi_encode(keccak256(ATTESTATION_TYPE), epoch_, number, header_hash)))


@internal
@view
def _digest(message: bytes32) -> bytes32:
    """
    @dev The chain id is read each time: after a fork of the chain a signature serves one side only.
    """
    domain: bytes32 = keccak256(
        abi_encode(keccak256(DOMAIN_TYPE), keccak256(b"novate"), keccak256(b"1"), chain.id, settlement)
    )
    return keccak256(concat(b"\x19\x01", domain, message))


@internal
def _pay(receiver: address, amount: uint256):
    success: bool = extcall IERC20(token).transfer(receiver, amount, default_return_value=True)
    assert success, "transfer refused"


@internal
@pure
def _div_floor(a: uint256, b: uint256) -> uint256:
    return a // b
