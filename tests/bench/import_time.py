"""How long `import mcpnb` takes, over a bare interpreter's start: medians of alternating fresh processes.

python tests/bench/import_time.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    pairs = [(seconds("pass"), seconds("import mcpnb")) for _ in range(parser.parse_args().rounds)]
    bare, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    added = (ours - bare) * 1e3
    print(f"bare interpreter {bare * 1e3:.0f} ms, with import mcpnb {ours * 1e3:.0f} ms: +{added:.0f} ms")


if __name__ == "__main__":
    main()
