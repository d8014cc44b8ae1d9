"""A second script for the verifier's tests: a key, a sub-account, a block trade and a combo, all signed.

The first trader is the owner; its key and its sub-account act for it, and the second is its counterparty.
"""

from functools import cache

from coincurve import PrivateKey

from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, Side, TimeInForce
from novate.protocol.generated.constants import COMBO_TICK_OFFSET
from novate.protocol.signing import compute_address, compute_subaccount_address, cosign_command, sign_command
from tests.verification.small_genesis import OPERATOR, SECOND, TRADERS
from tests.verification.small_venue import Script

OWNER, COUNTERPARTY = TRADERS[0], TRADERS[1]
SESSION_KEY = PrivateKey(b"\x5e" * 32)
SUBACCOUNT = compute_subaccount_address(compute_address(OWNER.public_key), 3)
PERPETUAL, CALL, PUT = 0, 3, 5  # The options of the later expiry.
FIGURES = {"max_notional_atoms": 0, "max_delta_atoms": 10**12, "max_vega_atoms": 0, "rate_per_minute": 30}


class PartnerScript(Script):
    """A script whose commands may name an account, a subject and a cosigner."""

    def send(
        self,
        kind: CommandKind,
        key: PrivateKey,
        account: bytes = b"",
        subject: bytes = b"",
        cosigner: PrivateKey | None = None,
        items: tuple[tuple[int, ...], ...] = (),
        **fields: int,
    ) -> None:
        """Sign, append and apply one command, a second after the last; it must be accepted."""
        self.time_ns += SECOND
        fields |= {"nonce": self.time_ns, "expires_ns": self.time_ns + 3600 * SECOND}
        command = make_command(kind, self.time_ns, **fields)
        command = command._replace(account=account, subject=subject, items=items)
        command = sign_command(command, self.names, self.domain, key)
        if cosigner is not None:
            command = cosign_command(command, self.names, self.domain, cosigner)
        self.commands.append(command)
        assert Code.OK == self.replayer.apply(command).code

    def give_key(self) -> None:
        """The owner gives a key away, which then places an order."""
        key = compute_address(SESSION_KEY.public_key)
        lasting = {"scope": 9, "key_expires_ns": self.time_ns + 86_400 * SECOND}
        self.send(CommandKind.AUTHORIZE_KEY, OWNER, subject=key, **lasting, **FIGURES)
        terms = {"instrument": PERPETUAL, "side": Side.BUY, "time_in_force": TimeInForce.GTC}
        fields = terms | {"lots": 2, "price_ticks": 25_000}
        owner = compute_address(OWNER.public_key)
        rest = dict.fromkeys(("flags", "display_lots", "valid_until_ns", "label", "link"), 0)
        self.send(CommandKind.PLACE, SESSION_KEY, owner, **fields, **rest)

    def open_subaccount(self) -> None:
        """The owner opens a sub-account, gives it money, and takes some of it out of the venue."""
        self.send(CommandKind.CREATE_SUBACCOUNT, OWNER, subaccount=3)
        self.send(CommandKind.TRANSFER, OWNER, subject=SUBACCOUNT, amount_atoms=10**10)
        self.send(CommandKind.WITHDRAW, OWNER, SUBACCOUNT, amount_atoms=10**9)

    def trade_block(self) -> None:
        """The owner's key and the counterparty agree on two legs."""
        marks = [self.replayer.state.instruments[number] for number in (PERPETUAL, CALL)]
        ticks = [instrument.mark_atoms // instrument.tick_atoms for instrument in marks]
        items = ((PERPETUAL, Side.SELL, 2, ticks[0]), (CALL, Side.BUY, 1, ticks[1]))
        names = (compute_address(OWNER.public_key), compute_address(COUNTERPARTY.public_key))
        nonces = {"counter_nonce": self.time_ns}
        self.send(CommandKind.BLOCK_TRADE, SESSION_KEY, *names, COUNTERPARTY, items, **nonces)

    def trade_combo(self) -> None:
        """The operator lists a combo, in which the counterparty then rests an order."""
        self.send(CommandKind.LIST_COMBO, OPERATOR, items=((CALL, 1), (PUT, -1)))
        number = len(self.replayer.state.instruments) - 1
        self.report_indices()
        self.add(CommandKind.TICK)
        self.quote_combo(number, COMBO_TICK_OFFSET - 100)

    def quote_combo(self, number: int, price_ticks: int) -> None:
        terms = {"instrument": number, "side": Side.BUY, "time_in_force": TimeInForce.GTC, "lots": 1}
        rest = dict.fromkeys(("flags", "display_lots", "valid_until_ns", "label", "link"), 0)
        self.send(CommandKind.PLACE, COUNTERPARTY, price_ticks=price_ticks, **terms, **rest)


@cache
def write_partner_script() -> tuple[Command, ...]:
    """Two batches."""
    script = PartnerScript(11)
    script.open()
    script.give_key()
    script.open_subaccount()
    script.seal()
    script.trade_block()
    script.trade_combo()
    script.seal()
    return tuple(script.commands)
