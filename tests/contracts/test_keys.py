"""Key files: private by mode, never replaced, never shown."""

import stat
from pathlib import Path

import pytest

from novate.settlement.keys import KeyFileError, create_key, load_key


def test_a_created_key_is_private_and_loads(tmp_path: Path) -> None:
    """A new key file has mode 0600 and holds the account that was returned."""
    path = tmp_path / "operator.key"
    account = create_key(path)
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert account.address == load_key(path).address
    secret = path.read_text().strip().removeprefix("0x")
    assert secret not in repr(account) + str(account)
    with pytest.raises(FileExistsError):
        create_key(path)
    assert secret == path.read_text().strip().removeprefix("0x")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_shared_key_is_refused(tmp_path: Path, mode: int) -> None:
    """A key that others may read is no key."""
    path = tmp_path / "operator.key"
    create_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="only its owner"):
        load_key(path)


@pytest.mark.parametrize("content", ["", "0x12", "zz" * 32, "00" * 32, "11" * 33, "11" * 500, "ff" * 32])
def test_other_contents_are_refused(tmp_path: Path, content: str) -> None:
    """What is not a key of the curve is refused, and the error does not repeat it."""
    path = tmp_path / "operator.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as caught:
        load_key(path)
    assert not content or content not in str(caught.value)


def test_a_missing_key_is_an_error(tmp_path: Path) -> None:
    """A path without a file is named."""
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_key(tmp_path / "absent.key")
