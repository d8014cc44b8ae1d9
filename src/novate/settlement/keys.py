"""Private keys of the settlement layer's own accounts, from files that only their owner may read."""

import os
import stat
from pathlib import Path

from coincurve import PrivateKey
from eth_account import Account
from eth_account.signers.local import LocalAccount

from novate.protocol.transaction import CURVE_ORDER

KEY_BYTES = 32
KEY_FILE_BYTES_MAX = 128


class KeyFileError(ValueError):
    """A key file that is missing, too widely readable or not a key. The message never holds the content."""


def create_key(path: Path) -> LocalAccount:
    """Write a new random key with mode 0600 and return its account; an existing file is never replaced."""
    secret = PrivateKey().secret
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        # The process's umask can only take bits away; 0600 is what must remain.
        os.fchmod(file.fileno(), 0o600)
        file.write(f"0x{secret.hex()}\n")
        file.flush()
        os.fsync(file.fileno())
    return _to_account(secret)


def load_key(path: Path) -> LocalAccount:
    """Return the account whose key is in a file of 64 hexadecimal digits.

    Raise KeyFileError if it cannot be trusted.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise KeyFileError(f"the key file {path} has mode {mode:04o}; only its owner may read it (chmod 600)")
    digits = content.strip().removeprefix(b"0x")
    secret = b""
    if len(digits) == 2 * KEY_BYTES and all(digit in b"0123456789abcdefABCDEF" for digit in digits):
        secret = bytes.fromhex(digits.decode("ascii"))
    if not 0 < int.from_bytes(secret, "big") < CURVE_ORDER:
        raise KeyFileError(f"the key file {path} should hold the 64 hexadecimal digits of a key of the curve")
    return _to_account(secret)


def _to_account(secret: bytes) -> LocalAccount:
    account: LocalAccount = Account.from_key(secret)
    return account
