"""Payloads straight into the rows that kernels read, without a Python object per command: for recovery.

A command whose row needs what another one of its run makes - a new account, a key, a sub-account - or whose
bytes are not as they should be stops a run; `decode_payload` and `Engine.apply` do that one. Twin of both,
equal by test. Implements [CMD-4] and [KEY-1].
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from novate.execution.engine import DEPOSIT, FIRST_ADDRESSED, LAST_ADDRESSED, Engine, split_address
from novate.execution.tables import NONE, World
from novate.kernel import (
    copy_bytes,
    kernel,
    kernel_inner,
    load_big_word,
    load_word,
    pass_by_reference,
)
from novate.protocol.command import ADDRESS_BYTES, HEAD_FORMAT, ITEM_FORMAT, TAIL_FORMAT, list_tail
from novate.protocol.frame import HASH_BYTES, HEADER_BYTES
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import COMMAND, COMMAND_FIELDS, ITEM, ITEM_FIELDS, ITEMS_MAX, SIGNED_BY

Array = NDArray[Any]
ADDRESS_WORDS = 3
FIELDS_MAX = max(len(fields) for fields in COMMAND_FIELDS.values())
ITEM_WORDS_MAX = max(len(fields) for fields in ITEM_FIELDS.values())
KIND_COUNT = max(CommandKind) + 1
SEAL = int(CommandKind.SEAL)
ROLES = {"": 0, "account": 1, "oracle": 2, "operator": 3}
RUN_ROWS = 1024  # As many as stay in a core's own cache between being written and being read.
ITEM_ROWS = RUN_ROWS * 8
WORD_BYTES = 8

LAYOUT = np.dtype(
    [
        (name, np.int64)
        for name in ("known", "fields", "items_max", "item_fields", "tail", "signer_at", "account_at", "role")
    ]
)
COMMAND_NAMES, ITEM_NAMES = list(COMMAND.fields or ()), list(ITEM.fields or ())
KEY_PLACE, ITEM_COUNT_PLACE, FIRST_ITEM_PLACE = map(COMMAND_NAMES.index, ("key", "item_count", "first_item"))
KIND_PLACE, SEQUENCE_PLACE, TIME_PLACE, ACCOUNT_PLACE = map(
    COMMAND_NAMES.index, ("kind", "sequence", "time_ns", "account")
)


def find_tail_place(kind: CommandKind, field: str) -> int:
    """Return where an address lies behind a payload's items, or NONE."""
    offset = 0
    for name, width in list_tail(kind):
        if name == field:
            return offset
        offset += width
    return NONE


def make_layouts() -> tuple[Array, Array, Array]:
    """Return by kind: the layout of a payload, the columns of its fields in COMMAND and of its items' in
    ITEM.
    """
    layouts = np.zeros(KIND_COUNT, LAYOUT)
    columns = np.zeros((KIND_COUNT, FIELDS_MAX), np.int64)
    item_columns = np.zeros((KIND_COUNT, ITEM_WORDS_MAX), np.int64)
    for kind, fields in COMMAND_FIELDS.items():
        items = ITEM_FIELDS.get(kind, ())
        signer, account = find_tail_place(kind, "signer"), find_tail_place(kind, "account")
        known = not FIRST_ADDRESSED <= kind <= LAST_ADDRESSED
        head = (known, len(fields), ITEMS_MAX.get(kind, 0), len(items), TAIL_FORMAT[kind].size)
        layouts[kind] = (*head, signer, account, ROLES[SIGNED_BY[kind]])
        columns[kind, : len(fields)] = [COMMAND_NAMES.index(name) for name in fields]
        item_columns[kind, : len(items)] = [ITEM_NAMES.index(name) for name in items]
        assert HEAD_FORMAT[kind].size == 9 + 8 * len(fields) + (2 if items else 0)
        assert not items or ITEM_FORMAT[kind].size == WORD_BYTES * len(items)
    return layouts, columns, item_columns


LAYOUTS, COLUMNS, ITEM_COLUMNS = make_layouts()


@pass_by_reference
class Desk(NamedTuple):
    """Who is who, and what a run is decoded into."""

    accounts: Array  # int64[A, 3], the address of each account
    slots: Array  # int64[power of two], account numbers by the hash of their addresses, or NONE
    oracles: Array  # int64[O, 3]
    operator: Array  # int64[1, 3]
    rows: Array  # int64[RUN_ROWS, fields of COMMAND]
    items: Array  # int64[ITEM_ROWS, fields of ITEM]
    packed: Array  # uint8, the payloads of the run one after the other
    counts: Array  # int64[2], items and bytes of the run


def make_desk(engine: Engine, packed_bytes: int) -> Desk:
    """Return a desk that knows an engine's accounts."""
    limit = engine.genesis.limits["accounts"]
    desk = Desk(
        accounts=np.zeros((limit, ADDRESS_WORDS), np.int64),
        slots=np.full(1 << (2 * limit).bit_length(), NONE, np.int64),
        oracles=np.array([split_address(address) for address in engine.genesis.oracles], np.int64),
        operator=np.array([split_address(engine.genesis.operator)], np.int64),
        rows=np.zeros((RUN_ROWS, len(COMMAND_NAMES)), np.int64),
        items=np.zeros((ITEM_ROWS, len(ITEM_NAMES)), np.int64),
        packed=np.zeros(packed_bytes, np.uint8),
        counts=np.zeros(2, np.int64),
    )
    learn_accounts(desk, engine, 0)
    return desk


def learn_accounts(desk: Desk, engine: Engine, first: int) -> int:
    """Note the accounts from `first` on; return how many there are."""
    count = len(engine.addresses)
    if count > first:
        desk.accounts[first:count] = [split_address(address) for address in engine.addresses[first:]]
        insert_accounts(desk, first, count)
    return count


@kernel_inner
def find_place(desk: Desk, word_0: int, word_1: int, word_2: int) -> int:
    """Return the place in `slots` of an address, or the empty one where it belongs."""
    mask = desk.slots.shape[0] - 1
    mixed = word_0 ^ word_1 >> 29 ^ word_1 ^ word_2 >> 23 ^ word_2
    place = (mixed ^ mixed >> 17 ^ mixed >> 37) & mask
    while desk.slots[place] != NONE:
        known = desk.accounts[desk.slots[place]]
        if known[2] == word_2 and known[1] == word_1 and known[0] == word_0:
            return int(place)
        place = (place + 1) & mask
    return int(place)


@kernel
def insert_accounts(desk: Desk, first: int, last: int) -> None:
    """Note the addresses of accounts in [first, last)."""
    for account in range(first, last):
        known = desk.accounts[account]
        desk.slots[find_place(desk, known[0], known[1], known[2])] = account


@kernel_inner
def load_address(data: Array, at: int) -> tuple[int, int, int]:
    """Return the address at a place as `split_address` does. At least four bytes lie before it."""
    return load_big_word(data, at - 4) & 0xFFFFFFFF, load_big_word(data, at + 4), load_big_word(data, at + 12)


@kernel_inner
def find_in(table: Array, data: Array, at: int) -> int:
    """Return the place of an address in a short list, or NONE."""
    first, second, third = load_address(data, at)
    for i in range(table.shape[0]):
        if table[i, 0] == first and table[i, 1] == second and table[i, 2] == third:
            return i
    return NONE


@kernel_inner
def find_account(desk: Desk, data: Array, at: int) -> int:
    """Return the number of the account with an address, or NONE."""
    first, second, third = load_address(data, at)
    return int(desk.slots[find_place(desk, first, second, third)])


@kernel_inner
def find_key(w: World, desk: Desk, account: int, data: Array, at: int) -> int:
    """Return the place of the signer among those who sign for an account: 0 its owner, then its keys.
    [KEY-1]
    """
    if account == NONE:
        return NONE
    words = load_address(data, at)
    owner = w.accounts[account]["owner"]
    if owner != NONE:
        address = desk.accounts[owner]
        if address[0] == words[0] and address[1] == words[1] and address[2] == words[2]:
            return 0
    found = NONE
    for i in range(w.keys.shape[1]):
        key = w.keys[account, i]
        if (
            key["scope"] != 0
            and key["word_0"] == words[0]
            and key["word_1"] == words[1]
            and key["word_2"] == words[2]
        ):
            found = i + 1
    return found


@kernel_inner
def is_same(data: Array, one: int, other: int) -> bool:
    """Whether two addresses are equal."""
    differing = load_word(data, one) ^ load_word(data, other)
    differing |= load_word(data, one + 8) ^ load_word(data, other + 8)
    differing |= load_word(data, one + ADDRESS_BYTES - 8) ^ load_word(data, other + ADDRESS_BYTES - 8)
    return bool(differing == 0)


@kernel_inner
def resolve(w: World, desk: Desk, row: Array, data: Array, tail: int) -> bool:
    """Write who speaks into a row; False if the engine must open an account for it first. [CMD-3]"""
    layout = LAYOUTS[row[KIND_PLACE]]
    signer = tail + layout["signer_at"]
    row[ACCOUNT_PLACE] = NONE
    if layout["role"] == 1:
        holder = tail + layout["account_at"]
        row[ACCOUNT_PLACE] = find_account(desk, data, holder)
        if not is_same(data, holder, signer):
            row[KEY_PLACE] = find_key(w, desk, row[ACCOUNT_PLACE], data, signer)
    elif layout["role"] == 2:
        row[ACCOUNT_PLACE] = find_in(desk.oracles, data, signer)
    elif layout["role"] == 3:
        row[ACCOUNT_PLACE] = find_in(desk.operator, data, signer)
    elif row[KIND_PLACE] == DEPOSIT:
        row[ACCOUNT_PLACE] = find_account(desk, data, signer)
        return bool(row[ACCOUNT_PLACE] != NONE)
    return True


@kernel_inner
def decode_row(w: World, desk: Desk, row: Array, data: Array, start: int, end: int) -> bool:
    """Write one payload into a row that is all zeros; False if it is not for this decoder."""
    kind = np.int64(data[start]) if end > start else 0
    if kind >= LAYOUTS.shape[0] or LAYOUTS[kind]["known"] == 0:
        return False
    layout = LAYOUTS[kind]
    head = start + 1 + WORD_BYTES * (1 + layout["fields"])
    after = head + (2 if layout["items_max"] else 0)
    if after > end:
        return False
    count = np.int64(data[head]) | np.int64(data[head + 1]) << 8 if layout["items_max"] else 0
    tail = after + count * layout["item_fields"] * WORD_BYTES
    first = desk.counts[0]
    if count > layout["items_max"] or tail + layout["tail"] != end or first + count > desk.items.shape[0]:
        return False
    row[KIND_PLACE] = kind
    row[TIME_PLACE] = load_word(data, start + 1)
    for i in range(layout["fields"]):
        row[COLUMNS[kind, i]] = load_word(data, start + 1 + WORD_BYTES * (1 + i))
    if not resolve(w, desk, row, data, tail):
        return False
    if count:
        row[ITEM_COUNT_PLACE], row[FIRST_ITEM_PLACE] = count, first
    for i in range(count):
        desk.items[first + i, :] = 0
        for j in range(layout["item_fields"]):
            at = after + (i * layout["item_fields"] + j) * WORD_BYTES
            desk.items[first + i, ITEM_COLUMNS[kind, j]] = load_word(data, at)
    desk.counts[0] += count
    return True


@kernel
def decode_run(w: World, desk: Desk, data: Array, ends: Array, place: int, sequence: int) -> int:
    """Decode the frames from `place` on into `rows`, until the first SEAL, one that is not for this decoder,
    or the room's end; return how many there are.
    """
    desk.counts[:] = 0
    last = min(ends.shape[0] - 1 - place, desk.rows.shape[0])
    for i in range(last):
        start, end = ends[place + i] + HEADER_BYTES, ends[place + i + 1] - HASH_BYTES
        row = desk.rows[i]
        row[:] = 0
        if desk.counts[1] + end - start > desk.packed.shape[0]:
            return i
        if not decode_row(w, desk, row, data, start, end):
            return i
        row[SEQUENCE_PLACE] = sequence + i
        copy_bytes(desk.packed, desk.counts[1], data, start, end - start)
        desk.counts[1] += end - start
        if row[KIND_PLACE] == SEAL:
            return i + 1
    return int(last)
