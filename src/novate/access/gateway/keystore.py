"""A session key at rest: encrypted by a password in the keystore format that Ethereum's wallets share."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_account import Account

from novate.protocol.signing import compute_address

KEYSTORE_BYTES_MAX = 1 << 14
PASSWORD_BYTES_MAX = 1 << 10
PASSWORD_LENGTH_MIN = 8


class KeystoreError(ValueError):
    """A keystore or a password that cannot be used. The message never holds a secret."""


def check_private(path: Path) -> None:
    """Refuse a file that others may read."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise KeystoreError(f"{path} has mode {mode:04o}; only its owner may read it (chmod 600)")


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read; an existing one is never replaced."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise KeystoreError(f"{path} exists and is not replaced") from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_password(path: Path) -> str:
    """Return the first line of a password file."""
    check_private(path)
    with path.open("rb") as file:
        line = file.read(PASSWORD_BYTES_MAX).split(b"\n")[0]
    if not line:
        raise KeystoreError(f"{path} holds no password")
    return line.decode(errors="strict")


def create_keystore(path: Path, password: str) -> bytes:
    """Create a key, write it encrypted, and return its address."""
    if len(password) < PASSWORD_LENGTH_MIN:
        raise KeystoreError(f"the password must have at least {PASSWORD_LENGTH_MIN} characters")
    key = PrivateKey()
    document: dict[str, Any] = Account.encrypt(key.secret, password)
    write_private(path, json.dumps(document, indent=1).encode() + b"\n")
    return compute_address(key.public_key)


def read_address_of(path: Path) -> bytes:
    """Return the address that a keystore says it holds, which only its password proves."""
    return bytes.fromhex(str(read_document(path).get("address", "")).removeprefix("0x"))


def read_document(path: Path) -> dict[str, Any]:
    """Return the keystore's JSON."""
    check_private(path)
    with path.open("rb") as file:
        data = file.read(KEYSTORE_BYTES_MAX + 1)
    try:
        document = json.loads(data)
    except ValueError as error:
        raise KeystoreError(f"{path} is not a keystore: {error}") from error
    if len(data) > KEYSTORE_BYTES_MAX or not isinstance(document, dict):
        raise KeystoreError(f"{path} is not a keystore")
    return document


def open_keystore(path: Path, password: str) -> PrivateKey:
    """Return the key of a keystore; KeystoreError if the password does not open it."""
    document = read_document(path)
    try:
        return PrivateKey(bytes(Account.decrypt(document, password)))
    except (ValueError, KeyError, TypeError) as error:
        raise KeystoreError(f"{path} cannot be opened: a wrong password, or a damaged file") from error
