"""Three hundred seeds of the simulator keep every promise, meet everything, and are lived the same way again.

NOVATE_SIMULATION_SEEDS sets another number of seeds, NOVATE_SIMULATION_FIRST the first. The seeds are cut
into blocks that several workers can share; the last block to end looks at what all of them met.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from simulation.run import run_seed
from tests.simulation.quotas import QUOTAS

SEEDS = int(os.environ.get("NOVATE_SIMULATION_SEEDS", "300"))
FIRST = int(os.environ.get("NOVATE_SIMULATION_FIRST", "1"))
BLOCKS = 10
TWICE_EVERY = 50


@pytest.mark.parametrize("block", range(BLOCKS))
def test_seeds_keep_every_promise(block: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a seed decides, nothing told is lost, sums hold, the replay agrees, and all can leave."""
    broken, met = [], Counter[str]()
    for seed in range(FIRST + block, FIRST + SEEDS, BLOCKS):
        result, _ = run_seed(seed)
        met.update(dict(result.met))
        if result.violation:
            broken.append(f"python -m simulation --seed {seed}: {result.violation}")
    assert [] == broken
    together = gather(choose_shared_folder(tmp_path_factory), block, met)
    if together is not None and SEEDS >= 300:
        missing = {name: (together[name], least) for name, least in QUOTAS.items() if together[name] < least}
        assert {} == missing, "(how often it was met, how often it should be)"


def choose_shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of this run share, and no other run."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "simulation"
    folder.mkdir(exist_ok=True)
    return folder


def gather(folder: Path, block: int, met: Counter[str]) -> Counter[str] | None:
    """Leave what a block met for the others; returns the sum if it was the last."""
    draft = folder / f"{block}.draft"
    draft.write_text(json.dumps(met), encoding="utf-8")
    draft.rename(folder / f"{block}.json")
    found = sorted(folder.glob("*.json"))
    if len(found) < BLOCKS:
        return None
    return sum((Counter(json.loads(path.read_text(encoding="utf-8"))) for path in found), Counter())


def test_a_seed_is_always_the_same_life() -> None:
    """Lived again, a seed has the same trace to the last line: nothing but the seed decides."""
    for seed in range(FIRST, FIRST + SEEDS, TWICE_EVERY):
        assert run_seed(seed) == run_seed(seed)
