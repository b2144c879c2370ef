"""What `import gnnlib` adds to `import torch`, in seconds.

python -m benchmarks.imports
"""

import statistics
import subprocess
import sys

from benchmarks.report import write

PROGRAM = (
    "import time, torch; start = time.perf_counter(); import gnnlib;"
    " print(time.perf_counter() - start)"
)


def main() -> None:
    times = [
        float(subprocess.check_output([sys.executable, "-c", PROGRAM], text=True)) for _ in range(9)
    ]
    rows: list[dict[str, object]] = [
        {"median s": statistics.median(times), "largest s": max(times), "runs": len(times)}
    ]
    write("imports", "import gnnlib, after import torch", "python -m benchmarks.imports", rows)


if __name__ == "__main__":
    main()
