"""Lists the combos that users ask for, with the operator's key: LIST_COMBO is the operator's to sign.

A venue that was started without the key lists nothing and says so.
"""

import asyncio
from collections import Counter
from collections.abc import Callable

from coincurve import PrivateKey

from novate.access.errors import ApiError
from novate.access.operator_nonces import choose_operator_nonce
from novate.execution.engine import Engine
from novate.execution.sequencer import Outcome, Sequencer, VenueBusy
from novate.protocol.command import make_command
from novate.protocol.generated.codes import AccessCode, Code, CommandKind, InstrumentKind
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.signing import Domain, sign_command

VALID_FOR_NS = 60 * NS_PER_S
COMBO_SHARE = 4  # One instrument in four may be a combo that a user asked for.


class ComboLister:
    """Signs one listing after the other. `per_account` bounds what an account may have listed since the
    server's start: instruments are numbered for good.
    """

    def __init__(self, key: PrivateKey, per_account: int) -> None:
        self.key = key
        self.per_account = per_account
        self.listed: Counter[int] = Counter()
        self.last_nonce = 0
        self.turn = asyncio.Lock()

    async def list_combo(
        self,
        engine: Engine,
        sequencer: Sequencer,
        clock_ns: Callable[[], int],
        domain: Domain,
        account: int,
        legs: tuple[tuple[int, int], ...],
    ) -> Outcome:
        """List a combo of (instrument, ratio) legs for an account and return what became of it.

        Errors     TOO_MANY_REQUESTS beyond the bound, VENUE_BUSY.
        """
        if self.listed[account] >= self.per_account:
            message = f"an account may have {self.per_account} combos listed"
            raise ApiError(AccessCode.TOO_MANY_REQUESTS, message)
        combos = sum(each.kind == InstrumentKind.COMBO for each in engine.instruments)
        if combos >= len(engine.world.instruments) // COMBO_SHARE:
            # What is listed stays in the table for good, and new expiries need room in it too.
            raise ApiError(Code.INSTRUMENT_TABLE_FULL, "the venue has as many combos as it lists for users")
        async with self.turn:
            time_ns = clock_ns()
            self.last_nonce = max(self.last_nonce + 1, choose_operator_nonce(engine, time_ns))
            command = make_command(
                CommandKind.LIST_COMBO, 0, nonce=self.last_nonce, expires_ns=time_ns + VALID_FOR_NS
            )
            signed = sign_command(command._replace(items=legs), engine.names, domain, self.key)
            self.listed[account] += 1
            try:
                return await sequencer.submit(signed)
            except VenueBusy as error:
                self.listed[account] -= 1
                raise ApiError(AccessCode.VENUE_BUSY) from error
