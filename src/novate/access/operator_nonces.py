"""Which nonce the operator's key signs with next."""

from novate.execution.engine import Engine


def choose_operator_nonce(engine: Engine, time_ns: int) -> int:
    """Return a nonce above every one that the operator has used, and not below the venue's time in ns: parts
    of a venue that sign without knowing of each other then rarely choose the same. [AUTH-4]
    """
    return max(time_ns, int(engine.world.house["operator_nonce"][0]) + 1)
