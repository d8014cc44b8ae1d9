#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Escape
@license MIT
@notice The way out that needs nobody's leave: a forced withdrawal, and if it is ignored the freeze, after which every
        account takes its value out of the vault by a proof against the last final batch.
@dev What it holds: no token; requests, marks and claims, and the right to freeze Settlement and to be paid by Vault.
     Who may call: anyone, every function. What it pays goes to the account in the proof (a sub-account's to its
     owner), whoever calls. Nobody has a privilege here, and no key is needed but that of the caller's own account.
     How does this stop: it does not. There is no owner, pause or upgrade; after the freeze it works for ever.
     Warning: it takes the state root of the last final batch as true. What is not claimed in the window is paid last.
     Law: SETTLE-40 to SETTLE-59. Python twin of the value: src/novate/verification/exit_value.py.
"""

from ethereum.ercs import IERC20


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
    def freeze() -> uint64: nonpayable
    def frozenAt() -> uint256: view
    def lastFinal() -> uint64: view
    def headerHash(number: uint64) -> bytes32: view
    def inboxCursor() -> uint64: view
    def inboxCursorOf(number: uint64) -> uint64: view
    def finalityDelay() -> uint256: view
    def exitWindow() -> uint256: view


interface EntryQueue:
    def append(
        kind: uint8, account: address, asset: uint8, amount: uint256, data: Bytes[DATA_BYTES_MAX]
    ) -> uint64: nonpayable
    def entryHash(cursor: uint64) -> bytes32: view
    def entryTime(cursor: uint64) -> uint256: view


interface Purse:
    def token(asset: uint8) -> address: view
    def paidAtoms(asset: uint256) -> uint256: view
    def payEscape(asset: uint8, account: address, amount: uint256): nonpayable


# One function of the hasher, called with sequences of two lengths.
interface GroupHasher:
    def absorb(h: uint256, words: DynArray[uint256, 3]) -> uint256: view


interface PartHasher:
    def absorb(h: uint256, words: DynArray[uint256, PART_WORDS_MAX]) -> uint256: view


event Requested:
    account: indexed(address)
    cursor: indexed(uint64)
    amount: uint256


event Overdue:
    cursor: indexed(uint64)
    lastWord: uint64


event BooksOpened:
    lastWord: indexed(uint64)
    deposited: uint256
    withdrawn: uint256


event MarkPosted:
    instrument: indexed(uint256)
    mark: int256


event OwnerNamed:
    account: indexed(address)
    owner: indexed(address)


event Claimed:
    index: indexed(uint256)
    account: indexed(address)
    amount: uint256
    late: bool


event Collected:
    index: indexed(uint256)
    payee: indexed(address)
    amount: uint256


event Refunded:
    cursor: indexed(uint64)
    payee: indexed(address)
    asset: uint8
    amount: uint256


DATA_BYTES_MAX: constant(uint256) = 1024
FORCED_WITHDRAWAL: constant(uint8) = 2
DEPOSIT: constant(uint8) = 1
CASH: constant(uint8) = 0
DEADLINE_S_MIN: constant(uint256) = 3600
DEADLINE_S_MAX: constant(uint256) = 2592000
WINDOW_S_MAX: constant(uint256) = 5184000
REQUEST_ATOMS_MAX: constant(uint256) = 1152921504606846976
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
# A claim in one word: account, amount, and these.
AMOUNT_PLACE: constant(uint256) = 160
FLAGS_PLACE: constant(uint256) = 224
MASK_64: constant(uint256) = 18446744073709551615
RECORDED: constant(uint256) = 1
IS_SUB: constant(uint256) = 2
IS_LATE: constant(uint256) = 4
IS_PAID: constant(uint256) = 8
SUBACCOUNT_MAX: constant(uint256) = 2147483647

settlement: public(immutable(address))
vault: public(immutable(address))
inbox: public(immutable(address))
hasher: public(immutable(address))
forcedDeadline: public(immutable(uint256))
stallDeadline: public(immutable(uint256))
claimWindow: public(immutable(uint256))

requestOf: public(HashMap[address, uint64])
lastWord: public(uint64)
lastCursor: public(uint64)
claimsEnd: public(uint256)
accountsRoot: public(uint256)
marksRoot: public(uint256)
deposited: public(uint256)
withdrawn: public(uint256)
marks: HashMap[uint256, uint256]
readings: HashMap[address, HashMap[uint256, Reading]]
claims: HashMap[uint256, uint256]
ownerOf: public(HashMap[address, address])
isRefunded: public(HashMap[uint64, bool])
totalClaims: public(uint256)
isClosed: public(bool)
estate: public(uint256)
spare: public(uint256)


@deploy
def __init__(
    settlement_: address,
    vault_: address,
    inbox_: address,
    hasher_: address,
    forced_deadline_s: uint256,
    stall_deadline_s: uint256,
    claim_window_s: uint256,
):
    """
    @notice Fix for ever which contracts this serves and how long each wait is.
    @dev Deployed last: what the others promise about waits is asked of Settlement.
    @param forced_deadline_s Seconds in which a posted batch must have carried out an entry of the inbox.
    @param stall_deadline_s Seconds in which such a batch must be final; at least the finality delay more.
    @param claim_window_s Seconds after the freeze in which claims are collected before any is paid.
    """
    assert settlement_ != empty(address), "settlement must not be zero"
    assert vault_ != empty(address), "vault must not be zero"
    assert inbox_ != empty(address), "inbox must not be zero"
    assert hasher_.codehash == HASHER_CODE_HASH, "hasher is another program"
    assert forced_deadline_s >= DEADLINE_S_MIN, "forced deadline too short"
    assert forced_deadline_s <= DEADLINE_S_MAX, "forced deadline too long"
    finality_delay: uint256 = staticcall BatchRegister(settlement_).finalityDelay()
    assert stall_deadline_s > forced_deadline_s + finality_delay, "stall deadline too short"
    assert stall_deadline_s <= WINDOW_S_MAX, "stall deadline too long"
    assert claim_window_s >= DEADLINE_S_MIN, "claim window too short"
    assert claim_window_s <= WINDOW_S_MAX, "claim window too long"
    exit_window: uint256 = staticcall BatchRegister(settlement_).exitWindow()
    assert forced_deadline_s + claim_window_s <= exit_window, "exit window too short"
    settlement = settlement_
    vault = vault_
    inbox = inbox_
    hasher = hasher_
    forcedDeadline = forced_deadline_s
    stallDeadline = stall_deadline_s
    claimWindow = claim_window_s


@external
def request(amount: uint256) -> uint64:
    """
    @notice Demand a withdrawal of the caller's cash. A batch must carry it out before the deadline, or anyone can
            freeze. Returns the number of the entry in the inbox.
    @dev Law: SETTLE-41. One open request for each account: a second waits until the first was carried out.
    """
    assert amount > 0, "amount must be positive"
    assert amount <= REQUEST_ATOMS_MAX, "amount too large"
    frozen_at: uint256 = staticcall BatchRegister(settlement).frozenAt()
    assert frozen_at == 0, "frozen"
    served: uint64 = staticcall BatchRegister(settlement).inboxCursor()
    assert self.requestOf[msg.sender] <= served, "a request is open"
    cursor: uint64 = extcall EntryQueue(inbox).append(FORCED_WITHDRAWAL, msg.sender, CASH, amount, b"")
    self.requestOf[msg.sender] = cursor
    log Requested(account=msg.sender, cursor=cursor, amount=amount)
    return cursor


@external
def freeze(cursor: uint64):
    """
    @notice End the venue because an entry of the inbox was ignored. Anyone may call.
    @dev Law: SETTLE-42. Ignored: older than the forced deadline and in no posted batch, or older than the stall
         deadline and in no final one.
    """
    entry_time: uint256 = staticcall EntryQueue(inbox).entryTime(cursor)
    assert entry_time > 0, "there is no such entry"
    age: uint256 = block.timestamp - entry_time
    posted: uint64 = staticcall BatchRegister(settlement).inboxCursor()
    if cursor > posted:
        assert age >= forcedDeadline, "the deadline has not passed"
    else:
        last_final: uint64 = staticcall BatchRegister(settlement).lastFinal()
        final: uint64 = staticcall BatchRegister(settlement).inboxCursorOf(last_final)
        assert cursor > final, "the entry was served"
        assert age >= stallDeadline, "its batch may still become final"
    last_word: uint64 = extcall BatchRegister(settlement).freeze()
    self.lastWord = last_word
    self.lastCursor = staticcall BatchRegister(settlement).inboxCursorOf(last_word)
    self.claimsEnd = block.timestamp + claimWindow
    log Overdue(cursor=cursor, lastWord=last_word)


@external
def openBooks(
    header: Header, roots: DynArray[uint256, ROOT_WORDS], house: DynArray[uint256, PART_WORDS_MAX], count: uint256
):
    """
    @notice Show the header of the last word, the six roots of its state, and its house leaf. Anyone may call, once.
    @dev Law: SETTLE-43. House elements are filled with zeros to a multiple of three; count is without them.
    """
    assert self.claimsEnd > 0, "not frozen"
    assert self.accountsRoot == 0, "books are open"
    assert header.number == self.lastWord, "not the last word"
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
    assert self.claims[index] == 0, "already claimed"
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
    assert amount <= ATOMS_MAX, "amount out of range"
    flags: uint256 = RECORDED
    if reading.isSub:
        flags += IS_SUB
    is_late: bool = block.timestamp >= self.claimsEnd
    if is_late:
        flags += IS_LATE
    else:
        self.totalClaims += amount
    self.claims[index] = convert(reading.account, uint256) + (amount << AMOUNT_PLACE) + (flags << FLAGS_PLACE)
    log Claimed(index=index, account=reading.account, amount=amount, late=is_late)


@external
def nameOwner(owner: address, subaccount: uint256):
    """
    @notice Show whose sub-account an address is, so that its owner is paid. Anyone may call; the address is a hash
            of both, so nobody can be wrong.
    @dev Law: SETTLE-50.
    """
    assert owner != empty(address), "owner must not be zero"
    assert subaccount > 0, "number out of range"
    assert subaccount <= SUBACCOUNT_MAX, "number out of range"
    packed: Bytes[52] = concat(convert(owner, bytes20), convert(subaccount, bytes32))
    account: address = convert(convert(keccak256(packed), uint256) & convert(max_value(uint160), uint256), address)
    self.ownerOf[account] = owner
    log OwnerNamed(account=account, owner=owner)


@external
def collect(index: uint256):
    """
    @notice Pay a recorded claim, after the window. Anyone may call; the account or its owner is paid.
    @dev Law: SETTLE-49 to SETTLE-51. The claim is marked before the vault is called.
    """
    self._close()
    word: uint256 = self.claims[index]
    flags: uint256 = word >> FLAGS_PLACE
    assert flags > 0, "nothing is claimed"
    assert flags & IS_PAID == 0, "already paid"
    account: address = convert(word & convert(max_value(uint160), uint256), address)
    payee: address = self._find_payee(account)
    if flags & IS_SUB > 0:
        assert payee != account, "name the owner first"
    amount: uint256 = self._compute_share((word >> AMOUNT_PLACE) & MASK_64, flags & IS_LATE > 0)
    assert amount > 0, "nothing is left"
    self.claims[index] = word + (IS_PAID << FLAGS_PLACE)
    extcall Purse(vault).payEscape(CASH, payee, amount)
    log Collected(index=index, payee=payee, amount=amount)


@external
def refund(cursor: uint64, account: address, asset: uint8, amount: uint256):
    """
    @notice Give back a deposit that the last word does not know. Its account may call at once, anyone after the
            window.
    @dev Law: SETTLE-52.
    """
    assert self.claimsEnd > 0, "not frozen"
    assert cursor > self.lastCursor, "the deposit was credited"
    assert not self.isRefunded[cursor], "already refunded"
    entry: bytes32 = keccak256(abi_encode(cursor, DEPOSIT, account, asset, amount, keccak256(b"")))
    stored: bytes32 = staticcall EntryQueue(inbox).entryHash(cursor)
    assert entry == stored, "no such deposit"
    payee: address = self._find_payee(account)
    if msg.sender != payee:
        assert block.timestamp >= self.claimsEnd, "only its account before the window ends"
    self.isRefunded[cursor] = True
    extcall Purse(vault).payEscape(asset, payee, amount)
    log Refunded(cursor=cursor, payee=payee, asset=asset, amount=amount)


@external
@view
def isOverdue(cursor: uint64) -> bool:
    """
    @notice Say whether an entry of the inbox is in no posted batch although its deadline has passed.
    """
    entry_time: uint256 = staticcall EntryQueue(inbox).entryTime(cursor)
    posted: uint64 = staticcall BatchRegister(settlement).inboxCursor()
    return entry_time > 0 and cursor > posted and block.timestamp >= entry_time + forcedDeadline


@external
@view
def markOf(instrument: uint256) -> (bool, bool, uint256):
    """
    @notice Return whether the mark of an instrument is posted, whether it has one, and the mark in atoms for a lot.
    """
    word: uint256 = self.marks[instrument]
    return word > 0, word > 0 and word >> 255 == 0, (word << 1) >> 3


@external
@view
def claimOf(index: uint256) -> (address, uint256, bool, bool):
    """
    @notice Return the account of a claim, its amount, whether it came late and whether it was paid.
    """
    word: uint256 = self.claims[index]
    flags: uint256 = word >> FLAGS_PLACE
    account: address = convert(word & convert(max_value(uint160), uint256), address)
    return account, (word >> AMOUNT_PLACE) & MASK_64, flags & IS_LATE > 0, flags & IS_PAID > 0


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


@internal
@view
def _find_payee(account: address) -> address:
    owner: address = self.ownerOf[account]
    if owner != empty(address):
        return owner
    return account


@internal
def _close():
    """
    @dev Law: SETTLE-49. What the vault holds beyond owed withdrawals, but no more than accounts and house own.
    """
    if self.isClosed:
        return
    assert self.accountsRoot > 0, "books are not open"
    assert block.timestamp >= self.claimsEnd, "claims are still collected"
    token: address = staticcall Purse(vault).token(CASH)
    balance: uint256 = staticcall IERC20(token).balanceOf(vault)
    paid: uint256 = staticcall Purse(vault).paidAtoms(convert(CASH, uint256))
    owed: uint256 = self.withdrawn - min(paid, self.withdrawn)
    estate: uint256 = min(balance - min(owed, balance), self.deposited - self.withdrawn)
    self.isClosed = True
    self.estate = estate
    self.spare = estate - min(estate, self.totalClaims)


@internal
def _compute_share(amount: uint256, is_late: bool) -> uint256:
    """
    @dev Law: SETTLE-50, SETTLE-51. In full if the estate suffices, else pro rata, rounded down; the late share what is
         left.
    """
    if is_late:
        share: uint256 = min(amount, self.spare)
        self.spare -= share
        return share
    if self.totalClaims <= self.estate:
        return amount
    return self._div_floor(amount * self.estate, self.totalClaims)


@internal
@pure
def _div_floor(a: uint256, b: uint256) -> uint256:
    return a // b
