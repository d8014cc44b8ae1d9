#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Books
@license MIT
@notice Proves what every account is worth by the last final batch of a frozen venue, and tells Escape.
@dev What it holds: roots, marks and half-read leaves; no token.
     Who may call: anyone, every function. The leaf says whose claim it is, whoever calls.
     How does this stop: it does not. There is no owner, pause or upgrade.
     Warning: it takes the state root of the last final batch as true.
     Law: SETTLE-40, SETTLE-43 to SETTLE-48. Python twin of the value: src/novate/verification/exit_value.py.
"""


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


# How far an account's leaf is read: the hash so far, the elements in it, the account and whether it is a
# sub-account, the positions still to come, the instrument of the next one, and the value so far.
struct Reading:
    digest: uint256
    words: uint256
    account: address
    isSub: bool
    left: uint256
    instrument: uint256
    value: int256


interface BatchRegister:
    def headerHash(number: uint64) -> bytes32: view


interface ClaimBook:
    def claimsEnd() -> uint256: view
    def lastWord() -> uint64: view
    def record(index: uint256, account: address, is_sub: bool, amount: uint256): nonpayable


# One function of the hasher, called with sequences of two lengths.
interface GroupHasher:
    def absorb(h: uint256, words: DynArray[uint256, 3]) -> uint256: view


interface PartHasher:
    def absorb(h: uint256, words: DynArray[uint256, PART_WORDS_MAX]) -> uint256: view


event BooksOpened:
    lastWord: indexed(uint64)
    deposited: uint256
    withdrawn: uint256


event MarkPosted:
    instrument: indexed(uint256)
    mark: int256


# The code that every deployment's hasher must have: src/novate/settlement/poseidon2_code.py.
HASHER_CODE_HASH: constant(bytes32) = 0xea8e0bfb071287f0f9b1d83a404a76a15590da1cab5e0129aacc6ed53db91dc6
P: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
ROOT_DOMAIN: constant(uint256) = 1
ACCOUNT_DOMAIN: constant(uint256) = 2
INSTRUMENT_DOMAIN: constant(uint256) = 4
HOUSE_DOMAIN: constant(uint256) = 6
ACCOUNTS_DEPTH: constant(uint256) = 10
INSTRUMENTS_DEPTH: constant(uint256) = 7
PATH_WORDS_MAX: constant(uint256) = 30
PART_WORDS_MAX: constant(uint256) = 384
ROOT_WORDS: constant(uint256) = 6
HOUSE_WORDS_MIN: constant(uint256) = 11
INSTRUMENT_WORDS_MIN: constant(uint256) = 12
# Places of elements in the leaves of STATE-2, STATE-4 and STATE-6.
PLACE_CASH: constant(uint256) = 1
PLACE_OWNER: constant(uint256) = 10
PLACE_COUNT: constant(uint256) = 13
PLACE_POSITIONS: constant(uint256) = 14
PLACE_KIND: constant(uint256) = 1
PLACE_MARK: constant(uint256) = 5
PLACE_DEPOSITED: constant(uint256) = 6
PLACE_WITHDRAWN: constant(uint256) = 7
NO_OWNER: constant(uint256) = P - 1
PERPETUAL: constant(uint256) = 2
COMBO: constant(uint256) = 4
ELEMENT_MAX: constant(uint256) = 9223372036854775808
ATOMS_MAX: constant(uint256) = 4611686018427387904
# A mark in one word: 0 not posted, else the mark times four plus these.
MARK_POSTED: constant(uint256) = 1
MARK_LINEAR: constant(uint256) = 2

escape: public(immutable(address))
settlement: public(immutable(address))
hasher: public(immutable(address))

accountsRoot: public(uint256)
marksRoot: public(uint256)
deposited: public(uint256)
withdrawn: public(uint256)
marks: HashMap[uint256, uint256]
readings: HashMap[address, HashMap[uint256, Reading]]


@deploy
def __init__(escape_: address, settlement_: address, hasher_: address):
    """
    @notice Fix for ever whom this tells, whose headers count, and which program hashes.
    @dev Escape may be deployed after this contract: its address is known beforehand.
    """
    assert escape_ != empty(address), "escape must not be zero"
    assert settlement_ != empty(address), "settlement must not be zero"
    assert hasher_.codehash == HASHER_CODE_HASH, "hasher is another program"
    escape = escape_
    settlement = settlement_
    hasher = hasher_


@external
def openBooks(
    header: Header, roots: DynArray[uint256, ROOT_WORDS], house: DynArray[uint256, PART_WORDS_MAX], count: uint256
):
    """
    @notice Show the header of the last word, the six roots of its state, and its house leaf. Anyone may call, once.
    @dev Law: SETTLE-43. House elements are filled with zeros to a multiple of three; count is without them.
    """
    ends_at: uint256 = staticcall ClaimBook(escape).claimsEnd()
    assert ends_at > 0, "not frozen"
    last_word: uint64 = staticcall ClaimBook(escape).lastWord()
    assert self.accountsRoot == 0, "books are open"
    assert header.number == last_word, "not the last word"
    header_hash: bytes32 = staticcall BatchRegister(settlement).headerHash(header.number)
    assert keccak256(abi_encode(header)) == header_hash, "header was not posted"
    assert len(roots) == ROOT_WORDS, "there are six roots"
    assert len(house) >= HOUSE_WORDS_MIN, "house leaf too short"
    state_root: uint256 = self._absorb(ROOT_DOMAIN, [roots[0], roots[1], roots[2]])
    state_root = self._absorb(state_root, [roots[3], roots[4], roots[5]])
    assert self._finish(state_root, ROOT_WORDS) == convert(header.stateRoot, uint256), "roots do not match"
    house_leaf: uint256 = staticcall PartHasher(hasher).absorb(HOUSE_DOMAIN, house)
    assert self._finish(house_leaf, count) == roots[4], "house leaf does not match"
    assert house[PLACE_DEPOSITED] <= ATOMS_MAX, "deposits out of range"
    assert house[PLACE_WITHDRAWN] <= house[PLACE_DEPOSITED], "withdrawals out of range"
    self.accountsRoot = roots[0]
    self.marksRoot = roots[2]
    self.deposited = house[PLACE_DEPOSITED]
    self.withdrawn = house[PLACE_WITHDRAWN]
    log BooksOpened(lastWord=header.number, deposited=self.deposited, withdrawn=self.withdrawn)


@external
def postMark(
    instrument: uint256,
    words: DynArray[uint256, PART_WORDS_MAX],
    count: uint256,
    path: DynArray[uint256, PATH_WORDS_MAX],
):
    """
    @notice Prove the mark of one instrument, once for all accounts. Anyone may call.
    @dev Law: SETTLE-44. An instrument without a mark counts as worth nothing, for all alike.
    """
    assert self.marksRoot > 0, "books are not open"
    assert self.marks[instrument] == 0, "mark is posted"
    assert len(words) >= INSTRUMENT_WORDS_MIN, "leaf too short"
    leaf: uint256 = staticcall PartHasher(hasher).absorb(INSTRUMENT_DOMAIN, words)
    root: uint256 = self._climb(self._finish(leaf, count), instrument, path, INSTRUMENTS_DEPTH)
    assert root == self.marksRoot, "mark does not match"
    kind: uint256 = words[PLACE_KIND]
    assert kind < COMBO, "a combo has no positions"
    posted: uint256 = MARK_POSTED
    if kind >= PERPETUAL:
        posted += MARK_LINEAR
    # No mark is a negative number.
    mark: int256 = self._to_signed(words[PLACE_MARK])
    if mark >= 0:
        posted += convert(mark, uint256) << 2
    else:
        posted = MARK_POSTED + (MARK_POSTED << 255)
    self.marks[instrument] = posted
    log MarkPosted(instrument=instrument, mark=mark)


@external
def readPart(index: uint256, words: DynArray[uint256, PART_WORDS_MAX]):
    """
    @notice Read the next part of a leaf that is too long for one call; the caller's claim then brings the last part.
    @dev Law: SETTLE-46. A part is a multiple of three elements. What one caller reads is no other's business.
    """
    reading: Reading = self.readings[msg.sender][index]
    self.readings[msg.sender][index] = self._read(reading, words)


@external
def dropParts(index: uint256):
    """
    @notice Forget what the caller read of a leaf, to begin again.
    """
    self.readings[msg.sender][index] = empty(Reading)


@external
def claim(
    index: uint256,
    words: DynArray[uint256, PART_WORDS_MAX],
    count: uint256,
    path: DynArray[uint256, PATH_WORDS_MAX],
    continued: bool,
):
    """
    @notice Record what an account is worth, by its whole leaf or the last part of it. Anyone may call for any account.
    @dev Law: SETTLE-45 to SETTLE-48. Elements are filled with zeros to a multiple of three; count is without them.
    """
    root: uint256 = self.accountsRoot
    assert root > 0, "books are not open"
    reading: Reading = empty(Reading)
    if continued:
        reading = self.readings[msg.sender][index]
        self.readings[msg.sender][index] = empty(Reading)
    reading = self._read(reading, words)
    assert reading.left == 0, "positions are missing"
    assert self._climb(self._finish(reading.digest, count), index, path, ACCOUNTS_DEPTH) == root, "no such account"
    amount: uint256 = 0
    if reading.value > 0:
        amount = convert(reading.value, uint256)
    extcall ClaimBook(escape).record(index, reading.account, reading.isSub, amount)


@external
@view
def markOf(instrument: uint256) -> (bool, bool, uint256):
    """
    @notice Return whether the mark of an instrument is posted, whether it has one, and the mark in atoms for a lot.
    """
    word: uint256 = self.marks[instrument]
    return word > 0, word > 0 and word >> 255 == 0, (word << 1) >> 3


@internal
@view
def _read(before: Reading, words: DynArray[uint256, PART_WORDS_MAX]) -> Reading:
    """
    @dev Law: SETTLE-45, SETTLE-46. The value is that of MARGIN-2: cash, lots at the mark, linear lots less cost.
    """
    reading: Reading = before
    place: uint256 = 0
    domain: uint256 = reading.digest
    if reading.words == 0:
        domain = ACCOUNT_DOMAIN
        assert len(words) > PLACE_POSITIONS, "leaf too short"
        reading.account = convert(words[0], address)
        reading.isSub = words[PLACE_OWNER] != NO_OWNER
        reading.value = self._to_signed(words[PLACE_CASH])
        reading.left = words[PLACE_COUNT]
        reading.instrument = words[PLACE_POSITIONS]
        place = PLACE_POSITIONS + 1
    reading.digest = staticcall PartHasher(hasher).absorb(domain, words)
    reading.words += len(words)

    for i: uint256 in range(PART_WORDS_MAX):
        if reading.left == 0 or place + 1 >= len(words):
            break
        mark: uint256 = self.marks[reading.instrument]
        assert mark > 0, "mark is not posted"
        if mark >> 255 == 0:
            lots: int256 = self._to_signed(words[place])
            reading.value += lots * convert(mark >> 2, int256)
            if mark & MARK_LINEAR > 0:
                reading.value -= self._to_signed(words[place + 1])
        reading.left -= 1
        place += 2
        if reading.left > 0 and place < len(words):
            reading.instrument = words[place]
            place += 1
    return reading


@internal
@view
def _absorb(h: uint256, group: uint256[3]) -> uint256:
    """
    @dev Law: SETTLE-40. One compression of four elements.
    """
    words: DynArray[uint256, 3] = [group[0], group[1], group[2]]
    return staticcall GroupHasher(hasher).absorb(h, words)


@internal
@view
def _finish(h: uint256, count: uint256) -> uint256:
    """
    @dev Law: STATE-TREE-3. The number of elements is absorbed last.
    """
    return self._absorb(h, [count, 0, 0])


@internal
@view
def _climb(leaf: uint256, index: uint256, path: DynArray[uint256, PATH_WORDS_MAX], depth: uint256) -> uint256:
    """
    @dev Law: STATE-TREE-4, STATE-TREE-5. Two bits of the index are the place among four at each level.
    """
    assert len(path) == 3 * depth, "path has another length"
    node: uint256 = leaf
    place: uint256 = index
    for level: uint256 in range(depth, bound=ACCOUNTS_DEPTH):
        a: uint256 = path[3 * level]
        b: uint256 = path[3 * level + 1]
        c: uint256 = path[3 * level + 2]
        own: uint256 = place & 3
        if own == 0:
            node = self._absorb(node, [a, b, c])
        elif own == 1:
            node = self._absorb(a, [node, b, c])
        elif own == 2:
            node = self._absorb(a, [b, node, c])
        else:
            node = self._absorb(a, [b, c, node])
        place = place >> 2
    assert place == 0, "index beyond the tree"
    return node


@internal
@pure
def _to_signed(element: uint256) -> int256:
    """
    @dev Law: STATE-TREE-3. The upper half of the field stands for the negative numbers; 64 bits suffice for all.
    """
    if element < ELEMENT_MAX:
        return convert(element, int256)
    assert element < P, "not a field element"
    assert P - element <= ELEMENT_MAX, "element out of range"
    return -convert(P - element, int256)
