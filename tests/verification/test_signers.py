"""Who signed what, in published files: keys, owners, cosigners; and lies about them."""

from collections.abc import Callable

import pytest

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.signing import compute_address, cosign_command, sign_command
from novate.verification.replay import Replayer
from novate.verification.verdict import Verdict, verify_files
from tests.verification.small_genesis import STRANGER, make_genesis
from tests.verification.small_partners import (
    COUNTERPARTY,
    OWNER,
    SUBACCOUNT,
    PartnerScript,
    write_partner_script,
)
from tests.verification.small_venue import Lies, Withdrawals, change, publish


def find(kind: CommandKind) -> int:
    """The position of the last command of a kind in the script."""
    return max(n for n, command in enumerate(write_partner_script()) if command.kind == kind)


def replay_names() -> PartnerScript:
    """A script that knows the names of every instrument."""
    script = PartnerScript(1)
    for command in write_partner_script():
        script.replayer.apply(command)
    return script


def judge(position: int, command: Command) -> Verdict:
    """The verdict on the script with one command exchanged, which the operator's engine never saw."""
    script = write_partner_script()
    return verify_files(publish(change(script, position, **command._asdict()), Lies(executed=script)))


def test_an_honest_record_passes() -> None:
    """[KEY-1] [SUB-3] [BLOCK-1] [COMBO-1]: every signature counts, both of a block trade."""
    verdict = verify_files(publish(write_partner_script()))
    assert verdict.ok, verdict.describe()
    counts = {check.name: check.count for check in verdict.checks}
    unsigned = (CommandKind.DEPOSIT, CommandKind.TICK, CommandKind.SEAL)
    signed = sum(command.kind not in unsigned for command in write_partner_script())
    assert signed + 1 == counts["signatures"]


def test_the_subaccounts_withdrawal_is_listed_for_its_owner() -> None:
    """[SUB-3]: a list that names the sub-account is not what the law accepted."""

    def pay_subaccount(number: int, owed: Withdrawals) -> Withdrawals:
        return [(SUBACCOUNT, amount) for _, amount in owed]

    verdict = verify_files(publish(write_partner_script(), Lies(withdrawals=pay_subaccount)))
    assert verdict.failed is not None
    assert "batch 1 withdrawal 0" in verdict.describe()
    assert compute_address(OWNER.public_key).hex() in verdict.describe()


def cosigned_by_a_stranger() -> tuple[int, Command]:
    """The cosigner named is the counterparty, the cosignature a stranger's."""
    position, script = find(CommandKind.BLOCK_TRADE), replay_names()
    truth = write_partner_script()[position]
    forged = cosign_command(truth, script.names, script.domain, STRANGER)
    return position, forged._replace(cosigner=truth.cosigner)


def leg_altered() -> tuple[int, Command]:
    """A better price for one side, after both had signed."""
    position = find(CommandKind.BLOCK_TRADE)
    truth = write_partner_script()[position]
    first = (*truth.items[0][:3], truth.items[0][3] + 1)
    return position, truth._replace(items=(first, *truth.items[1:]))


def cosigned_for_another() -> tuple[int, Command]:
    """The counterparty signs for what it did not see: another counterparty's name."""
    position = find(CommandKind.BLOCK_TRADE)
    return position, write_partner_script()[position]._replace(subject=SUBACCOUNT)


def key_exchanged() -> tuple[int, Command]:
    """The owner's signature gives the account to another key."""
    position = find(CommandKind.AUTHORIZE_KEY)
    stranger = compute_address(STRANGER.public_key)
    return position, write_partner_script()[position]._replace(subject=stranger)


def account_exchanged() -> tuple[int, Command]:
    """What the owner signed for its sub-account is said of another account."""
    position = find(CommandKind.WITHDRAW)
    counterparty = compute_address(COUNTERPARTY.public_key)
    return position, write_partner_script()[position]._replace(account=counterparty)


def ratio_altered() -> tuple[int, Command]:
    """The operator signed a combo's name, and the legs are others."""
    position = find(CommandKind.LIST_COMBO)
    (first, second) = write_partner_script()[position].items
    return position, write_partner_script()[position]._replace(items=(first, (second[0], -2)))


def legs_unnamed() -> tuple[int, Command]:
    """A leg that is not listed has no name that anybody could have signed."""
    position = find(CommandKind.LIST_COMBO)
    return position, write_partner_script()[position]._replace(items=((3, 1), (99, -1)))


FORGERIES: list[tuple[Callable[[], tuple[int, Command]], tuple[str, ...]]] = [
    (cosigned_by_a_stranger, ("(BLOCK_TRADE)", "not that of the cosigner")),
    (leg_altered, ("(BLOCK_TRADE)", "not that of the signer")),
    (cosigned_for_another, ("(BLOCK_TRADE)", "not that of the signer")),
    (key_exchanged, ("(AUTHORIZE_KEY)", "not that of the account")),
    (account_exchanged, ("(WITHDRAW)", "not that of the signer")),
    (ratio_altered, ("(LIST_COMBO)", "not that of the operator")),
    (legs_unnamed, ("(LIST_COMBO)", "nobody can have signed it")),
]


@pytest.mark.parametrize(("forge", "words"), FORGERIES, ids=[forge.__name__ for forge, _ in FORGERIES])
def test_a_lie_about_a_signer_is_found(
    forge: Callable[[], tuple[int, Command]], words: tuple[str, ...]
) -> None:
    """[AUTH-1] [KEY-1] [BLOCK-1]: account, subject, legs and names are in the digest."""
    verdict = judge(*forge())
    assert verdict.failed is not None, "the forgery went unnoticed"
    assert "signatures" == verdict.failed.name, verdict.describe()
    assert [] == [word for word in words if word not in verdict.describe()], verdict.describe()


def test_an_unknown_key_is_for_the_replay_to_refuse() -> None:
    """[KEY-1]: a stranger signs under its own name; its signature is good, and its right to sign is not."""
    script = replay_names()
    position = find(CommandKind.WITHDRAW)
    truth = write_partner_script()[position]
    signed = sign_command(truth, script.names, script.domain, STRANGER)
    assert truth.account == signed.account
    verdict = judge(position, signed)
    assert verdict.failed is not None
    assert "replay" == verdict.failed.name
    replayer = Replayer(make_genesis())
    codes = [replayer.apply(command).code for command in write_partner_script()[:position]]
    assert Code.KEY_UNKNOWN == replayer.apply(signed).code
    assert {Code.OK} == set(codes)
