"""A process that registers trades one by one, for the tests of several at once: ``registry_process.py HOME SEED N``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.integration.registry_trades import trade
from throughline.registry.coordinator import RegistryCoordinator


def main() -> None:
    """Register trades 0 to N - 1 in an order of its own, some in bulk; print their hashes by number."""
    home, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    order = list(range(count))
    random.Random(seed).shuffle(order)
    with RegistryCoordinator(home) as registry:
        bulk = order[: count // 3]
        names = dict(zip(bulk, registry.add_trades([trade(number) for number in bulk]), strict=True))
        for number in order[count // 3 :]:
            names[number] = registry.add_trade_with_linkages(*trade(number))
    print("\n".join(names[number] for number in range(count)))


if __name__ == "__main__":
    main()
