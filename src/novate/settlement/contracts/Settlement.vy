#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Settlement
@license MIT
@notice Records the operator's batch headers in one unbroken chain and says which of them are final.
@dev What it holds: hashes, roots and times; no token.
     Who may call: the operator submits; Escape alone freezes; the governor, if there is one, announces another
     quorum of validators or another verifier, and anybody adopts it after a delay longer than the exit window.
     Warning: with neither validators nor a verifier finality is a time-out: a batch is final `finalityDelay`
     seconds after it was posted, whatever it says. Then a depositor trusts the operator and `novate verify`.
     How does this stop: by the freeze, for ever. The last batch that was final is the last word, and claims
     against final batches go on. There is no owner and no pause.
     Law: SETTLE-1 to SETTLE-6, SETTLE-22, SETTLE-23. Python twin of the header: src/novate/protocol/header.py.
"""


interface EntryCounter:
    def count() -> uint64: view


interface BondBook:
    def isBonded() -> bool: view


struct Header:
    number: uint64
    previousStateRoot: bytes32
    stateRoot: bytes32
    firstSequence: uint64
    lastSequence: uint64
    journalHead: bytes32
    inboxCursor: uint64
    withdrawalsRoot: bytes32
    marksRoot: bytes32
    dataHash: bytes32
    timeNs: uint64


# Escape, bond, governor, validators and verifier may be zero: then that part does not exist.
struct Parties:
    operator: address
    vault: address
    inbox: address
    escape: address
    bond: address
    governor: address
    validators: address
    verifier: address


event BatchSubmitted:
    number: indexed(uint64)
    headerHash: bytes32
    header: Header


event Frozen:
    lastWord: indexed(uint64)


event RungsAnnounced:
    validators: indexed(address)
    verifier: indexed(address)
    readyAt: uint256


event RungsAdopted:
    validators: indexed(address)
    verifier: indexed(address)
    lastFinal: uint64


UNKNOWN: constant(uint8) = 0
POSTED: constant(uint8) = 1
ATTESTED: constant(uint8) = 2
PROVEN: constant(uint8) = 3
FINAL: constant(uint8) = 4
NS_PER_S: constant(uint256) = 1000000000
CLOCK_SKEW_S_MAX: constant(uint256) = 3600
FINALITY_DELAY_S_MAX: constant(uint256) = 2592000
# An announced change that nobody adopts in this time lapses: no approval stays valid for ever.
ADOPTION_WINDOW_S: constant(uint256) = 1209600
RUNG_GAS: constant(uint256) = 100000
NO_RUNG: constant(uint64) = max_value(uint64)
UINT64_MASK: constant(uint256) = 18446744073709551615

operator: public(immutable(address))
vault: public(immutable(address))
inbox: public(immutable(address))
escape: public(immutable(address))
bond: public(immutable(address))
governor: public(immutable(address))
genesisHash: public(immutable(bytes32))
finalityDelay: public(immutable(uint256))
upgradeDelay: public(immutable(uint256))
exitWindow: public(immutable(uint256))

batchCount: public(uint64)
stateRoot: public(bytes32)
headerHash: public(HashMap[uint64, bytes32])
withdrawalsRoot: public(HashMap[uint64, bytes32])
# postedAt, inboxCursor, lastSequence and timeNs of a batch, 64 bits each from the lowest up.
records: HashMap[uint64, uint256]
stateRootOf: public(HashMap[uint64, bytes32])
marksRootOf: public(HashMap[uint64, bytes32])
finalFloor: public(uint64)
frozenAt: public(uint256)
validators: public(address)
verifier: public(address)
nextValidators: public(address)
nextVerifier: public(address)
nextReadyAt: public(uint256)


@deploy
def __init__(
    parties: Parties,
    genesis_hash: bytes32,
    genesis_state_root: bytes32,
    finality_delay_s: uint256,
    upgrade_delay_s: uint256,
    exit_window_s: uint256,
):
    """
    @notice Fix for ever who submits, which entries count, and how long everything waits.
    @dev Other contracts may be deployed after this one: their addresses are known beforehand.
    @param finality_delay_s Seconds from posting to finality, at most 30 days.
    @param upgrade_delay_s Seconds from an announcement to its effect, longer than the exit window.
    @param exit_window_s Seconds in which everybody can leave by Escape: its deadline and its claim window.
    """
    assert parties.operator != empty(address), "operator must not be zero"
    assert parties.vault != empty(address), "vault must not be zero"
    assert parties.inbox != empty(address), "inbox must not be zero"
    assert genesis_state_root != empty(bytes32), "state root must not be zero"
    assert finality_delay_s <= FINALITY_DELAY_S_MAX, "finality delay too long"
    assert upgrade_delay_s > exit_window_s, "upgrade delay too short"
    operator = parties.operator
    vault = parties.vault
    inbox = parties.inbox
    escape = parties.escape
    bond = parties.bond
    governor = parties.governor
    genesisHash = genesis_hash
    finalityDelay = finality_delay_s
    upgradeDelay = upgrade_delay_s
    exitWindow = exit_window_s
    self.validators = parties.validators
    self.verifier = parties.verifier
    self.stateRoot = genesis_state_root


@external
def submit(header: Header):
    """
    @notice Append the next batch. Only the operator; every rule that a header can break alone is checked here.
    @dev Law: SETTLE-3. The order of the checks is the order of the clauses.
    """
    assert msg.sender == operator, "only the operator"
    assert self.frozenAt == 0, "frozen"
    if bond != empty(address):
        bonded: bool = staticcall BondBook(bond).isBonded()
        assert bonded, "bond is too small"
    assert header.number == self.batchCount + 1, "number must be the next"
    assert header.previousStateRoot == self.stateRoot, "previous state root differs"
    assert header.stateRoot != empty(bytes32), "state root must not be zero"
    last: uint256 = self.records[header.number - 1]
    assert header.firstSequence == self._read(last, 128) + 1, "sequences must be contiguous"
    assert header.lastSequence >= header.firstSequence, "batch must not be empty"
    assert header.inboxCursor >= self._read(last, 64), "inbox cursor went back"
    entry_count: uint64 = staticcall EntryCounter(inbox).count()
    assert header.inboxCursor <= entry_count, "inbox cursor beyond the inbox"
    assert header.timeNs >= self._read(last, 192), "time went back"
    time_ns_max: uint256 = (block.timestamp + CLOCK_SKEW_S_MAX) * NS_PER_S
    assert convert(header.timeNs, uint256) <= time_ns_max, "time too far ahead"

    header_hash: bytes32 = keccak256(abi_encode(header))
    self.batchCount = header.number
    self.stateRoot = header.stateRoot
    self.headerHash[header.number] = header_hash
    self.withdrawalsRoot[header.number] = header.withdrawalsRoot
    record: uint256 = block.timestamp + (convert(header.inboxCursor, uint256) << 64)
    record += convert(header.lastSequence, uint256) << 128
    self.records[header.number] = record + (convert(header.timeNs, uint256) << 192)
    log BatchSubmitted(number=header.number, headerHash=header_hash, header=header)


@external
def openHeader(header: Header):
    """
    @notice Store the state root and the marks root of a posted batch, from its header. Anyone may call.
    @dev Law: SETTLE-2. The header is in the log of its transaction and in what is published.
    """
    assert keccak256(abi_encode(header)) == self.headerHash[header.number], "header was not posted"
    self.stateRootOf[header.number] = header.stateRoot
    self.marksRootOf[header.number] = header.marksRoot


@external
def recordFinal() -> uint64:
    """
    @notice Write down the last final batch, which makes later claims cheaper. Anyone may call.
    """
    self.finalFloor = self._find_last_final()
    return self.finalFloor


@external
def freeze() -> uint64:
    """
    @notice End the chain of batches for ever and return the last word: the last final batch. Only Escape.
    @dev Law: SETTLE-22.
    """
    assert msg.sender == escape, "only the escape"
    assert self.frozenAt == 0, "frozen"
    last_word: uint64 = self._find_last_final()
    self.finalFloor = last_word
    self.frozenAt = block.timestamp
    log Frozen(lastWord=last_word)
    return last_word


@external
def announceRungs(validators_: address, verifier_: address):
    """
    @notice Announce another quorum of validators or another verifier; zero leaves that rung out. Only the governor.
    @dev Law: SETTLE-23. A second announcement replaces the first and starts the delay anew.
    """
    assert msg.sender == governor, "only the governor"
    ready_at: uint256 = block.timestamp + upgradeDelay
    self.nextValidators = validators_
    self.nextVerifier = verifier_
    self.nextReadyAt = ready_at
    log RungsAnnounced(validators=validators_, verifier=verifier_, readyAt=ready_at)


@external
def adoptRungs():
    """
    @notice Put an announced change into effect, after its delay and before it lapses. Anyone may call.
    @dev Law: SETTLE-23. What was final by the old rungs stays final.
    """
    assert self.frozenAt == 0, "frozen"
    ready_at: uint256 = self.nextReadyAt
    assert ready_at > 0, "nothing is announced"
    assert block.timestamp >= ready_at, "too early"
    assert block.timestamp < ready_at + ADOPTION_WINDOW_S, "announcement lapsed"
    self.finalFloor = self._find_last_final()
    self.nextReadyAt = 0
    self.validators = self.nextValidators
    self.verifier = self.nextVerifier
    log RungsAdopted(validators=self.validators, verifier=self.verifier, lastFinal=self.finalFloor)


@external
@view
def isFinal(number: uint64) -> bool:
    """
    @notice Say whether a batch has every rung that is used and was posted at least `finalityDelay` seconds ago.
    @dev Law: SETTLE-5. Once true it stays true.
    """
    if number <= self.finalFloor:
        return number > 0
    if self.frozenAt > 0 or number > self.batchCount:
        return False
    return self._is_old(number) and number <= self._count_rungs()


@external
@view
def lastFinal() -> uint64:
    """
    @notice Return the number of the last final batch; 0 if there is none.
    """
    return self._find_last_final()


@external
@view
def statusOf(number: uint64) -> uint8:
    """
    @notice Return 0 for an unknown batch, 1 posted, 2 attested, 3 proven, 4 final. A rung that is not used is passed.
    @dev Law: SETTLE-5. A final batch is 4 whatever rungs there are now.
    """
    if number == 0 or number > self.batchCount:
        return UNKNOWN
    if number <= self._find_last_final():
        return FINAL
    if number > self._count_rung(self.validators, method_id("attestedCount()")):
        return POSTED
    if number > self._count_rung(self.verifier, method_id("provenCount()")):
        return ATTESTED
    return PROVEN


@external
@view
def postedAt(number: uint64) -> uint256:
    """
    @notice Return when a batch was posted, in seconds; 0 if it was not.
    """
    return convert(self._read(self.records[number], 0), uint256)


@external
@view
def inboxCursorOf(number: uint64) -> uint64:
    """
    @notice Return the last entry of the inbox that a batch and those before it carried out.
    """
    return self._read(self.records[number], 64)


@external
@view
def inboxCursor() -> uint64:
    """
    @notice Return the last entry that the posted batches carried out.
    """
    return self._read(self.records[self.batchCount], 64)


@external
@view
def lastSequence() -> uint64:
    """
    @notice Return the sequence of the last command of the last batch.
    """
    return self._read(self.records[self.batchCount], 128)


@external
@view
def timeNs() -> uint64:
    """
    @notice Return the venue's time of the last batch, in nanoseconds.
    """
    return self._read(self.records[self.batchCount], 192)


@internal
@pure
def _read(record: uint256, place: uint256) -> uint64:
    return convert((record >> place) & UINT64_MASK, uint64)


@internal
@view
def _is_old(number: uint64) -> bool:
    return block.timestamp >= convert(self._read(self.records[number], 0), uint256) + finalityDelay


@internal
@view
def _count_rung(rung: address, selector: Bytes[4]) -> uint64:
    """
    @dev How many batches a rung has passed, in order. One that fails has passed none, so it can stop finality but
         never the freeze.
    """
    if rung == empty(address):
        return NO_RUNG
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        rung, selector, max_outsize=32, gas=RUNG_GAS, is_static_call=True, revert_on_failure=False
    )
    if not success or len(answer) < 32:
        return 0
    return convert(min(convert(answer, uint256), convert(NO_RUNG, uint256)), uint64)


@internal
@view
def _count_rungs() -> uint64:
    attested: uint64 = self._count_rung(self.validators, method_id("attestedCount()"))
    return min(attested, self._count_rung(self.verifier, method_id("provenCount()")))


@internal
@view
def _find_last_final() -> uint64:
    """
    @dev The last batch that is old enough, by bisection, for posting times never go back.
    """
    low: uint64 = self.finalFloor
    if self.frozenAt > 0:
        return low
    high: uint64 = min(self.batchCount, self._count_rungs())
    for i: uint256 in range(64):
        if low >= high:
            break
        distance: uint256 = convert(high - low, uint256) + 1
        middle: uint64 = low + convert(distance >> 1, uint64)
        if self._is_old(middle):
            low = middle
        else:
            high = middle - 1
    return low
