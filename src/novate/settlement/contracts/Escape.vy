#pragma version 0.4.3
#pragma evm-version cancun
#pragma nonreentrancy on
"""
@title Escape
@license MIT
@notice The way out that needs nobody's leave: a forced withdrawal, and if it is ignored the freeze, after which every
        account takes its value out of the vault by a proof against the last final batch.
@dev What it holds: no token; requests and claims, which Books proves, and the right to freeze Settlement and to be paid by Vault.
     Who may call: anyone, every function. What it pays goes to the account in the proof (a sub-account's to its
     owner), whoever calls. Nobody has a privilege here, and no key is needed but that of the caller's own account.
     How does this stop: it does not. There is no owner, pause or upgrade; after the freeze it works for ever.
     Warning: it takes the state root of the last final batch as true. What is not claimed in the window is paid last.
     Law: SETTLE-40 to SETTLE-42, SETTLE-47 to SETTLE-52. Python twin: src/novate/verification/exit_value.py.
"""

from ethereum.ercs import IERC20


interface BatchRegister:
    def freeze() -> uint64: nonpayable
    def frozenAt() -> uint256: view
    def lastFinal() -> uint64: view
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


interface ProofBook:
    def accountsRoot() -> uint256: view
    def deposited() -> uint256: view
    def withdrawn() -> uint256: view


interface Purse:
    def token(asset: uint8) -> address: view
    def paidAtoms(asset: uint256) -> uint256: view
    def payEscape(asset: uint8, account: address, amount: uint256): nonpayable


event Requested:
    account: indexed(address)
    cursor: indexed(uint64)
    amount: uint256


event Overdue:
    cursor: indexed(uint64)
    lastWord: uint64


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

ATOMS_MAX: constant(uint256) = 4611686018427387904
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
books: public(immutable(address))
forcedDeadline: public(immutable(uint256))
stallDeadline: public(immutable(uint256))
claimWindow: public(immutable(uint256))

requestOf: public(HashMap[address, uint64])
lastWord: public(uint64)
lastCursor: public(uint64)
claimsEnd: public(uint256)
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
    books_: address,
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
    assert books_.is_contract, "books must be a contract"
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
    books = books_
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
def record(index: uint256, account: address, is_sub: bool, amount: uint256):
    """
    @notice Record a proven claim. Only Books.
    @dev Law: SETTLE-48.
    """
    assert msg.sender == books, "only the books"
    assert self.claims[index] == 0, "already claimed"
    assert amount <= ATOMS_MAX, "amount out of range"
    flags: uint256 = RECORDED
    if is_sub:
        flags += IS_SUB
    is_late: bool = block.timestamp >= self.claimsEnd
    if is_late:
        flags += IS_LATE
    else:
        self.totalClaims += amount
    self.claims[index] = convert(account, uint256) + (amount << AMOUNT_PLACE) + (flags << FLAGS_PLACE)
    log Claimed(index=index, account=account, amount=amount, late=is_late)


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
    root: uint256 = staticcall ProofBook(books).accountsRoot()
    assert root > 0, "books are not open"
    assert block.timestamp >= self.claimsEnd, "claims are still collected"
    token: address = staticcall Purse(vault).token(CASH)
    balance: uint256 = staticcall IERC20(token).balanceOf(vault)
    paid: uint256 = staticcall Purse(vault).paidAtoms(convert(CASH, uint256))
    deposited: uint256 = staticcall ProofBook(books).deposited()
    withdrawn: uint256 = staticcall ProofBook(books).withdrawn()
    owed: uint256 = withdrawn - min(paid, withdrawn)
    estate: uint256 = min(balance - min(owed, balance), deposited - withdrawn)
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
