"""The replayer against the naive model in a falling market: the same steps, figure by figure."""

import pytest

from novate.protocol.generated.codes import EventKind
from novate.verification.steps import Step
from tests.model.generator import iter_world
from tests.verification.model_commands import convert, make_replayer
from tests.verification.model_leaves import compare_leaves

COUNT = 1_500
KINDS = {kind.name: kind for kind in EventKind if kind >= EventKind.LIQUIDATION_STARTED}


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_liquidations_are_read_alike(seed: int) -> None:
    """[LIQ-1] to [LIQ-9]: two readings tell every step alike, and come to the same leaves."""
    replayer, seen = make_replayer("crash"), set()
    for world, command, events in iter_world(seed, COUNT, "crash"):
        outcome = replayer.apply(convert(command))
        result = events[0]
        expected = (result["code"], result["order_id"], result["account"])
        assert expected == (outcome.code, outcome.order_id, outcome.account), command
        told = [event for event in events if EventKind(event["kind"]).name in KINDS]
        steps = [Step(*(event.get(name, 0) for name in Step._fields)) for event in told]
        assert steps == replayer.state.steps, command
        seen |= {step.kind for step in steps}
        if command["sequence"] % 20 == 0 or command["sequence"] == COUNT:
            compare_leaves(world.model, replayer.state)
    assert len(seen) > 8
