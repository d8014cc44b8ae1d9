"""`python -m simulation`: live seeds through, print a trace, append the outcome to the ledger."""

import argparse
import sys
import time

from simulation.ledger import LEDGER, append_campaign, read_revision
from simulation.run import run_seed


def main() -> int:
    """Run the seeds that the command line asks for; the exit status is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--twice", action="store_true", help="live each seed twice and compare the traces")
    parser.add_argument("--ledger", action="store_true", help=f"append the outcome to {LEDGER.name}")
    chosen = parser.parse_args()
    results, begun, revision = [], time.process_time(), read_revision()
    for seed in range(chosen.seed, chosen.seed + chosen.count):
        result, _ = run_seed(seed, echo=chosen.count == 1)
        if chosen.twice and run_seed(seed)[0] != result:
            result = result._replace(violation="the same seed was lived in two ways")
        results.append(result)
        if result.violation:
            print(f"seed {seed}: {result.violation}\n  python -m simulation --seed {seed}", flush=True)
    if chosen.ledger:
        append_campaign(LEDGER, results, revision)
    broken = sum(bool(result.violation) for result in results)
    seconds = time.process_time() - begun
    commands = sum(result.commands for result in results)
    print(f"{len(results)} seeds, {commands} commands, {broken} broken promises, {seconds:.1f} s of CPU")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
