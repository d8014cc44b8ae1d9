"""The loops of the GPU, from the same source, in numba-cuda's simulator."""

import json
import os
import subprocess
import sys
from pathlib import Path

WITNESS = Path(__file__).with_name("gpu_witness.py")
OPTIONS = 150


def test_gpu_and_cpu_compute_the_same() -> None:
    """Two blocks of threads, the last not full: Greeks and volatilities differ by roundings, d up to 6."""
    run = subprocess.run(
        [sys.executable, str(WITNESS), str(OPTIONS)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert 0 == run.returncode, run.stderr
    result = json.loads(run.stdout)
    assert result["is_gpu_ready"]
    assert 3 == len(result["differences"])
    assert max(result["differences"]) < 1e-13, result
