"""Signed transactions: the strict decoder against eth-account, and arbitrary bytes."""

from typing import Any

import pytest
from eth_account import Account
from eth_utils.address import to_checksum_address
from hypothesis import example, given, settings
from hypothesis import strategies as st

from novate.protocol.transaction import (
    CURVE_ORDER,
    TransactionError,
    decode_transaction,
    encode_rlp_integer,
    encode_rlp_item,
    encode_rlp_list,
)

SIGNER = Account.from_key(b"\x05" * 32)
DYNAMIC: dict[str, Any] = {
    "type": 2,
    "chainId": 31337,
    "nonce": 3,
    "to": "0x" + "7" * 40,
    "value": 5,
    "gas": 21_000,
    "maxFeePerGas": 9,
    "maxPriorityFeePerGas": 1,
    "data": b"\x01\x02",
}

uint64s = st.integers(0, 2**63)
recipients = st.one_of(st.just(""), st.binary(min_size=20, max_size=20).map(to_checksum_address))


def sign(**changes: object) -> bytes:
    return bytes(SIGNER.sign_transaction({**DYNAMIC, **changes}).raw_transaction)


@settings(max_examples=80, deadline=None)
@example(1, 1, 1, b"\xc0", "", 1)
@given(
    uint64s, uint64s, st.integers(0, 2**256 - 1), st.binary(max_size=100), recipients, st.integers(1, 2**40)
)
def test_dynamic_fee_equals_eth_account(
    nonce: int, gas: int, value: int, data: bytes, to: str, chain_id: int
) -> None:
    """Every field, the sender and the hash are what eth-account says [SETTLE-14]."""
    fields = {"nonce": nonce, "gas": gas, "value": value, "data": data, "to": to, "chainId": chain_id}
    signed = SIGNER.sign_transaction({**DYNAMIC, **fields})
    decoded = decode_transaction(bytes(signed.raw_transaction))
    assert (nonce, gas, value, data, chain_id) == (
        decoded.nonce,
        decoded.gas_limit,
        decoded.value_wei,
        decoded.data,
        decoded.chain_id,
    )
    assert bytes.fromhex(to.removeprefix("0x")) == decoded.to
    assert bytes(signed.hash) == decoded.hash
    assert (signed.r, signed.s) == (decoded.r, decoded.s)
    assert bytes.fromhex(SIGNER.address[2:]) == decoded.sender


@settings(max_examples=40, deadline=None)
@example(0, 0, b"\xc0", "")
@given(uint64s, st.integers(0, 2**256 - 1), st.binary(max_size=100), recipients)
def test_legacy_equals_eth_account(nonce: int, value: int, data: bytes, to: str) -> None:
    """A legacy transaction with a chain id decodes to the same sender and hash."""
    fields = {"nonce": nonce, "value": value, "data": data, "to": to, "gas": 1, "gasPrice": 2, "chainId": 5}
    signed = SIGNER.sign_transaction(fields)
    decoded = decode_transaction(bytes(signed.raw_transaction))
    assert (nonce, value, data, 5, 2) == (
        decoded.nonce,
        decoded.value_wei,
        decoded.data,
        decoded.chain_id,
        decoded.fee_max_wei,
    )
    assert bytes.fromhex(SIGNER.address[2:]) == decoded.sender
    assert bytes(signed.hash) == decoded.hash


def resign_high() -> bytes:
    """The malleated twin of a signature."""
    decoded = decode_transaction(sign())
    values: list[bytes] = [
        *(encode_rlp_integer(x) for x in (31337, 3, 1, 9, 21_000)),
        encode_rlp_item(decoded.to),
        encode_rlp_integer(5),
        encode_rlp_item(decoded.data),
        b"\xc0",
        *(encode_rlp_integer(x) for x in (1 - decoded.y_parity, decoded.r, CURVE_ORDER - decoded.s)),
    ]
    return b"\x02" + encode_rlp_list(values)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "1 to"),
        (b"\x01" + sign()[1:], "type 1"),
        (b"\x03" + sign()[1:], "type 3"),
        (sign() + b"\x00", "nothing after"),
        (sign()[:-1], "cut short"),
        (sign(accessList=[{"address": "0x" + "1" * 40, "storageKeys": []}]), "byte string or an empty list"),
        (resign_high(), "signature is out of range"),
        (b"\x02\xc0", "12 fields"),
        (b"\x02" + encode_rlp_list([b"\xc0"] * 12), "byte string"),
        (
            b"\x02" + encode_rlp_list([b"\x01"] * 8 + [encode_rlp_item(b"\xc0")] + [b"\x01"] * 3),
            "access list",
        ),
        (encode_rlp_list([b"\xc0"] + [b"\x01"] * 8), "byte string"),
        (b"\x02\xf8\x01\x00", "not canonical"),
        (b"\x02" + b"\xc1" * 50, "one RLP list"),
        (
            bytes(
                SIGNER.sign_transaction(
                    {"nonce": 0, "to": "", "value": 0, "gas": 1, "gasPrice": 1}
                ).raw_transaction
            ),
            "EIP-155",
        ),
    ],
)
def test_refusals(raw: bytes, reason: str) -> None:
    """Whatever is not canonical and accepted is refused with a reason."""
    with pytest.raises(TransactionError, match=reason):
        decode_transaction(raw)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda tail: b"\x02\xf8" + tail)))
def test_arbitrary_bytes(raw: bytes) -> None:
    """No bytes make the decoder fail in another way."""
    try:
        decode_transaction(raw)
    except TransactionError:
        return


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_changed_bytes_never_keep_the_sender(data: st.DataObject) -> None:
    """A transaction with one byte changed is refused or comes from somebody else."""
    raw = bytearray(sign())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_transaction(bytes(raw))
    except TransactionError:
        return
    assert bytes.fromhex(SIGNER.address[2:]) != decoded.sender
