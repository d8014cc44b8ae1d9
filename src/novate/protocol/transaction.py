"""Signed Ethereum transactions, legacy (EIP-155) and EIP-1559, decoded strictly, with the sender recovered.

Only what the settlement chain accepts: no access lists, no blobs, no malleated signatures, canonical RLP
only. Any other bytes raise TransactionError and nothing else. Implements [SETTLE-14].
"""

from typing import NamedTuple

from coincurve import PublicKey

from novate.protocol.frame import keccak256

TRANSACTION_BYTES_MAX = 1 << 17
DYNAMIC_FEE_KIND = 2
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
UINT64_END = 1 << 64
UINT256_END = 1 << 256


class TransactionError(ValueError):
    """Bytes that are no transaction of an accepted kind; the message says which rule they break."""


class Transaction(NamedTuple):
    """One decoded transaction. `to` is empty for a contract creation. Fees are in wei per gas."""

    kind: int
    chain_id: int
    nonce: int
    priority_fee_wei: int
    fee_max_wei: int
    gas_limit: int
    to: bytes
    value_wei: int
    data: bytes
    y_parity: int
    r: int
    s: int
    sender: bytes
    hash: bytes


def _encode_length(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes([offset + length])
    size = length.to_bytes((length.bit_length() + 7) >> 3, "big")
    return bytes([offset + 55 + len(size)]) + size


def encode_rlp_item(item: bytes) -> bytes:
    """Return the RLP of a byte string."""
    if len(item) == 1 and item[0] < 0x80:
        return item
    return _encode_length(len(item), 0x80) + item


def encode_rlp_list(encoded_items: list[bytes]) -> bytes:
    """Return the RLP of a list whose items are encoded already."""
    body = b"".join(encoded_items)
    return _encode_length(len(body), 0xC0) + body


def encode_rlp_integer(value: int) -> bytes:
    """Return the RLP of a non-negative integer: big-endian without leading zeros."""
    return encode_rlp_item(value.to_bytes((value.bit_length() + 7) >> 3, "big"))


def _read_head(data: bytes, offset: int) -> tuple[bool, int, int]:
    """Return whether a list starts at `offset`, where its content starts and where it ends."""
    if offset >= len(data):
        raise TransactionError(f"RLP ends at byte {offset}, where an item should start")
    prefix = data[offset]
    is_list = prefix >= 0xC0
    base = 0xC0 if is_list else 0x80
    if prefix < 0x80:
        return False, offset, offset + 1
    if prefix < base + 56:
        start, length = offset + 1, prefix - base
    else:
        start = offset + 1 + prefix - base - 55
        size = data[offset + 1 : start]
        length = int.from_bytes(size, "big")
        if len(size) != start - offset - 1 or size[0] == 0 or length < 56:
            raise TransactionError(f"the RLP length at byte {offset} is not canonical")
    if start + length > len(data):
        raise TransactionError(f"the RLP item at byte {offset} is cut short")
    if not is_list and length == 1 and data[start] < 0x80:
        raise TransactionError(f"the RLP byte at {offset} is not canonical")
    return is_list, start, start + length


def decode_rlp_fields(data: bytes, count: int) -> list[bytes | None]:
    """Return the items of a flat RLP list of exactly `count`; an empty inner list reads as None."""
    is_list, offset, end = _read_head(data, 0)
    if not is_list or end != len(data):
        raise TransactionError("the transaction should be one RLP list and nothing after it")
    fields: list[bytes | None] = []
    while offset < end:
        if len(fields) == count:
            raise TransactionError(f"the list should have {count} fields, it has more")
        inner_list, start, stop = _read_head(data, offset)
        if stop > end or (inner_list and start != stop):
            raise TransactionError(f"field {len(fields)} is not a byte string or an empty list")
        fields.append(None if inner_list else data[start:stop])
        offset = stop
    if len(fields) != count:
        raise TransactionError(f"the list should have {count} fields, it has {len(fields)}")
    return fields


def _require_bytes(fields: list[bytes | None]) -> list[bytes]:
    strings = [field for field in fields if field is not None]
    if len(strings) != len(fields):
        raise TransactionError("every field but the access list should be a byte string")
    return strings


def _read_integer(field: bytes, name: str, end: int) -> int:
    value = int.from_bytes(field, "big")
    if field[:1] == b"\x00" or value >= end:
        raise TransactionError(f"{name} is not a canonical integer below {end:#x}")
    return value


def recover_sender(digest: bytes, y_parity: int, r: int, s: int) -> bytes:
    """Return the 20-byte address that signed a digest.

    The malleated twin of a signature (high s) is refused.
    """
    if not (y_parity in (0, 1) and 0 < r < CURVE_ORDER and 0 < s <= CURVE_ORDER >> 1):
        raise TransactionError("the signature is out of range")
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([y_parity])
    try:
        public_key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except ValueError as error:
        raise TransactionError("the signature recovers no key") from error
    except Exception as error:  # coincurve raises a bare Exception where libsecp256k1 finds no point.
        raise TransactionError("the signature recovers no key") from error
    return keccak256(public_key.format(compressed=False)[1:])[12:]


def _require_recipient(field: bytes) -> bytes:
    if len(field) not in (0, 20):
        raise TransactionError("the recipient should be empty or 20 bytes")
    return field


def _decode_dynamic_fee(raw: bytes) -> Transaction:
    items = decode_rlp_fields(raw[1:], 12)
    if items.pop(8) is not None:
        raise TransactionError("the access list should be an empty list")
    fields = _require_bytes(items)
    names = ("chain id", "nonce", "priority fee", "maximum fee", "gas limit")
    chain_id, nonce, priority, fee_max, gas = (
        _read_integer(field, name, UINT64_END if name != "maximum fee" else UINT256_END)
        for field, name in zip(fields[:5], names, strict=True)
    )
    if priority > fee_max:
        raise TransactionError("the priority fee is above the maximum fee")
    parity = _read_integer(fields[8], "y parity", 2)
    r, s = (_read_integer(field, "signature", UINT256_END) for field in fields[9:])
    value = _read_integer(fields[6], "value", UINT256_END)
    unsigned = [encode_rlp_item(field) for field in fields[:8]] + [b"\xc0"]
    sender = recover_sender(keccak256(raw[:1] + encode_rlp_list(unsigned)), parity, r, s)
    return Transaction(
        DYNAMIC_FEE_KIND,
        chain_id,
        nonce,
        priority,
        fee_max,
        gas,
        _require_recipient(fields[5]),
        value,
        fields[7],
        parity,
        r,
        s,
        sender,
        keccak256(raw),
    )


def _decode_legacy(raw: bytes) -> Transaction:
    fields = _require_bytes(decode_rlp_fields(raw, 9))
    nonce, price, gas = (_read_integer(field, "nonce, price or gas", UINT64_END) for field in fields[:3])
    value = _read_integer(fields[4], "value", UINT256_END)
    v, r, s = (_read_integer(field, "signature", UINT256_END) for field in fields[6:])
    if not 37 <= v < UINT64_END:
        raise TransactionError("a legacy transaction should name its chain (EIP-155)")
    chain_id, parity = (v - 35) >> 1, (v - 35) & 1
    unsigned = [encode_rlp_item(field) for field in fields[:6]]
    unsigned += [encode_rlp_integer(chain_id), encode_rlp_item(b""), encode_rlp_item(b"")]
    sender = recover_sender(keccak256(encode_rlp_list(unsigned)), parity, r, s)
    return Transaction(
        0,
        chain_id,
        nonce,
        price,
        price,
        gas,
        _require_recipient(fields[3]),
        value,
        fields[5],
        parity,
        r,
        s,
        sender,
        keccak256(raw),
    )


def decode_transaction(raw: bytes) -> Transaction:
    """Return the transaction in these bytes with its sender.

    Raise TransactionError for any other bytes [SETTLE-14].
    """
    if not 0 < len(raw) <= TRANSACTION_BYTES_MAX:
        raise TransactionError(f"a transaction has 1 to {TRANSACTION_BYTES_MAX} bytes, found {len(raw)}")
    if raw[0] == DYNAMIC_FEE_KIND:
        return _decode_dynamic_fee(raw)
    if raw[0] >= 0xC0:
        return _decode_legacy(raw)
    raise TransactionError(f"transaction type {raw[0]} is not accepted")
