#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Settlement
@license MIT
@notice Records the operator's batch headers in one unbroken chain and says which of them are final.
@dev Warning: finality is a time-out. A batch is final `finalityDelay` seconds after it was posted, whatever it
     says; the contract cannot yet tell a false header from a true one. Validator quorum, validity proof and
     dispute are later contracts. Until then a depositor trusts the operator and watches with `novate verify`.
     How does this stop: it has no owner, no pause and no upgrade. If the operator stops, no new batch appears,
     and withdrawals of final batches can be claimed from the Vault for ever.
     Law: SETTLE-1 to SETTLE-6. Python twin of the header: src/novate/protocol/header.py.
"""


interface DepositCounter:
    def depositCursor() -> uint64: view


struct Header:
    number: uint64
    previousStateRoot: bytes32
    stateRoot: bytes32
    firstSequence: uint64
    lastSequence: uint64
    journalHead: bytes32
    depositCursor: uint64
    withdrawalsRoot: bytes32
    marksRoot: bytes32
    dataHash: bytes32
    timeNs: uint64


event BatchSubmitted:
    number: indexed(uint64)
    headerHash: bytes32
    header: Header


NS_PER_S: constant(uint256) = 1000000000
CLOCK_SKEW_S_MAX: constant(uint256) = 3600
FINALITY_DELAY_S_MAX: constant(uint256) = 2592000

operator: public(immutable(address))
vault: public(immutable(address))
genesisHash: public(immutable(bytes32))
finalityDelay: public(immutable(uint256))

batchCount: public(uint64)
stateRoot: public(bytes32)
lastSequence: public(uint64)
depositCursor: public(uint64)
timeNs: public(uint64)
headerHash: public(HashMap[uint64, bytes32])
withdrawalsRoot: public(HashMap[uint64, bytes32])
postedAt: public(HashMap[uint64, uint256])


@deploy
def __init__(
    operator_: address,
    vault_: address,
    genesis_hash: bytes32,
    genesis_state_root: bytes32,
    finality_delay_s: uint256,
):
    """
    @notice Fix for ever who submits, whose deposits count, and how long a batch waits.
    @dev The vault may be deployed after this contract: its address is known beforehand.
    @param finality_delay_s Seconds from posting to finality, at most 30 days.
    """
    assert operator_ != empty(address), "operator must not be zero"
    assert vault_ != empty(address), "vault must not be zero"
    assert genesis_state_root != empty(bytes32), "state root must not be zero"
    assert finality_delay_s <= FINALITY_DELAY_S_MAX, "finality delay too long"
    operator = operator_
    vault = vault_
    genesisHash = genesis_hash
    finalityDelay = finality_delay_s
    self.stateRoot = genesis_state_root


@external
def submit(header: Header):
    """
    @notice Append the next batch. Only the operator; every rule that a header can break alone is checked here.
    @dev Law: SETTLE-3. The order of the checks is the order of the clauses.
    """
    assert msg.sender == operator, "only the operator"
    assert header.number == self.batchCount + 1, "number must be the next"
    assert header.previousStateRoot == self.stateRoot, "previous state root differs"
    assert header.stateRoot != empty(bytes32), "state root must not be zero"
    assert header.firstSequence == self.lastSequence + 1, "sequences must be contiguous"
    assert header.lastSequence >= header.firstSequence, "batch must not be empty"
    assert header.depositCursor >= self.depositCursor, "deposit cursor went back"
    deposit_count: uint64 = staticcall DepositCounter(vault).depositCursor()
    assert header.depositCursor <= deposit_count, "deposit cursor beyond the vault"
    assert header.timeNs >= self.timeNs, "time went back"
    time_ns_max: uint256 = (block.timestamp + CLOCK_SKEW_S_MAX) * NS_PER_S
    assert convert(header.timeNs, uint256) <= time_ns_max, "time too far ahead"

    header_hash: bytes32 = keccak256(abi_encode(header))
    self.batchCount = header.number
    self.stateRoot = header.stateRoot
    self.lastSequence = header.lastSequence
    self.depositCursor = header.depositCursor
    self.timeNs = header.timeNs
    self.headerHash[header.number] = header_hash
    self.withdrawalsRoot[header.number] = header.withdrawalsRoot
    self.postedAt[header.number] = block.timestamp
    log BatchSubmitted(number=header.number, headerHash=header_hash, header=header)


@external
@view
def isFinal(number: uint64) -> bool:
    """
    @notice Say whether a batch was posted at least `finalityDelay` seconds ago.
    @dev Law: SETTLE-5. Operator time-out finality only; see the warning above.
    """
    posted_at: uint256 = self.postedAt[number]
    if posted_at == 0:
        return False
    return block.timestamp >= posted_at + finalityDelay
