"""Who may acknowledge: the epoch, the role and the partner of one data directory, durable before use.

The whole safety argument is in the rules of this module; docs/decisions/0019 writes it out.

1. A standby gives a receipt only for frames that are on its disk, and only to the primary of the epoch that
   its file names.
2. A primary with an enrolled partner acknowledges a command only with that partner's receipt for it, unless
   the partner has given up, durably, to take over by itself.
3. A standby that takes over first makes a later epoch durable. From then on rule 1 gives the old primary
   nothing, and everything it acknowledged under rule 2 is on the standby's disk.
"""

import os
import secrets
from pathlib import Path

import msgspec
from msgspec.structs import replace

from novate.execution.journal import sync_folder, write_all
from novate.standby.messages import LOGS, End

FENCE_NAME = "standby.json"
PRIMARY, STANDBY = "primary", "standby"
FENCE_BYTES_MAX = 1 << 16


class FenceError(RuntimeError):
    """What this directory has promised does not allow what was asked; the message says what to do."""


class FenceState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What DIR/standby.json holds.

    A primary: `partner` is the standby whose receipts count, `sole` that this primary took over and has had
    no standby since. A standby: `partner` is the primary that it follows. `automatic`: the standby may take
    over by itself, once its logs reach `ends`. `superseded` is the later epoch that a primary has heard of.
    """

    node: str
    role: str
    epoch: int
    partner: str = ""
    sole: bool = False
    automatic: bool = False
    term: int = 0
    ends: dict[str, End] = {}
    superseded: int = 0


class Fence:
    """The state of a directory in memory and on disk. What `state` says is durable."""

    def __init__(self, folder: Path, state: FenceState) -> None:
        self.path = folder / FENCE_NAME
        self.state = state

    def write(self, state: FenceState) -> None:
        """Replace the state on disk, then in memory; OSError leaves both as they were."""
        temporary = self.path.with_suffix(".partial")
        data = msgspec.json.format(msgspec.json.encode(state)) + b"\n"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(self.path)
        sync_folder(self.path.parent)
        self.state = state


def read_fence(folder: Path) -> FenceState | None:
    """Return what a directory has promised, or nothing if it never had to do with a standby."""
    path = folder / FENCE_NAME
    try:
        with path.open("rb") as file:
            state = msgspec.json.decode(file.read(FENCE_BYTES_MAX), type=FenceState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise FenceError(f"{path} cannot be read: {error}") from error
    if state.role not in (PRIMARY, STANDBY) or state.epoch < 0:
        raise FenceError(f"{path} names the role {state.role!r} in epoch {state.epoch}")
    return state


def open_fence(folder: Path, role: str) -> Fence:
    """Return the fence of a directory, begun in this role if it has none yet.

    Errors     FenceError if the directory has another role, or was superseded.
    """
    state = read_fence(folder)
    if state is None:
        fence = Fence(folder, FenceState(secrets.token_hex(8), role, 1 if role == PRIMARY else 0))
        fence.write(fence.state)
        return fence
    if state.role != role:
        use = "`novate serve`" if state.role == PRIMARY else "`novate standby`"
        raise FenceError(f"{folder} is the {state.role} of epoch {state.epoch}; it is run by {use}")
    check_superseded(folder, state)
    return Fence(folder, state)


def check_superseded(folder: Path, state: FenceState) -> None:
    """Raise FenceError if a standby has taken over from this primary."""
    if state.superseded:
        raise FenceError(
            f"a standby took over from {folder} in epoch {state.superseded}; follow it with `novate standby` "
            "on an empty directory. What this one acknowledged is there too."
        )


def check_unaccompanied(folder: Path) -> None:
    """Raise FenceError if a directory may not be served without its standby."""
    state = read_fence(folder)
    if state is None or (state.role == PRIMARY and not state.partner and not state.superseded):
        return
    if state.role == STANDBY:
        raise FenceError(f"{folder} is a standby; it is run by `novate standby`")
    check_superseded(folder, state)
    raise FenceError(
        f"{folder} has a standby that may have taken over, and no [standby] section to find it by. If you "
        "have made sure that the standby is off and never took over, release it with --release-standby."
    )


def release_standby(folder: Path) -> FenceState:
    """Let a primary serve without its standby, in a later epoch; its standby's receipts count no more.

    Only a person can know that the standby is off and has not taken over.
    """
    state = read_fence(folder)
    if state is None or state.role != PRIMARY:
        raise FenceError(f"{folder} is not a primary with a standby")
    check_superseded(folder, state)
    released = replace(state, epoch=state.epoch + 1, partner="", sole=True, automatic=False, ends={})
    Fence(folder, released).write(released)
    return released


def may_go_alone(state: FenceState, goes_alone: bool) -> bool:
    """Whether a primary may acknowledge without a receipt; `goes_alone` is what the configuration allows.

    Without a partner nobody can take over. With one, only if it never does so by itself.
    """
    if not state.partner:
        return state.sole or goes_alone
    return goes_alone and not state.automatic


def may_give_receipt(state: FenceState, epoch: int, primary: str) -> bool:
    """Whether a standby may give this primary a receipt."""
    return state.role == STANDBY and (state.epoch, state.partner) == (epoch, primary)


def follow_primary(state: FenceState, epoch: int, primary: str) -> FenceState:
    """Return the state of a standby that follows a primary from now on; FenceError if it may not.

    What an earlier primary allowed is forgotten: it may take over only once this one has enrolled it.
    """
    if epoch < state.epoch:
        raise FenceError(f"epoch {epoch} is over: this standby has promised epoch {state.epoch}")
    if epoch == state.epoch and state.partner not in ("", primary):
        raise FenceError(
            f"two primaries claim epoch {epoch}: {state.partner} and {primary}. Stop both; only a person can "
            "say whose acknowledgements count."
        )
    if (epoch, primary) == (state.epoch, state.partner):
        return state
    return replace(state, epoch=epoch, partner=primary, automatic=False, term=0, ends={})


def explain_refusal(state: FenceState, reached: dict[str, End], acknowledged: dict[str, End]) -> str:
    """Return why a standby may not take over by itself, or nothing.

    `acknowledged` is what the primary last claimed to have acknowledged: a standby that has been set back to
    an old copy of its disk is found out by it.
    """
    if state.role != STANDBY or not state.automatic:
        return "the primary has not enrolled this standby to take over by itself"
    for log in LOGS:
        for end in (state.ends.get(log), acknowledged.get(log)):
            if end is not None and reached[log].next < end.next:
                return f"its {log} ends before frame {end.next}, which the primary has acknowledged"
    return ""


def take_over(state: FenceState) -> FenceState:
    """Return the state of a standby that has become the primary of the next epoch."""
    return replace(
        state, role=PRIMARY, epoch=state.epoch + 1, partner="", sole=True, automatic=False, term=0, ends={}
    )
