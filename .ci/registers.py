"""Registers and spills of the CUDA kernels, as ptxas told the build: a table, and 1 where one of
ours spills or keeps an array in local memory (CUB's kernels are as the toolkit has them).

python .ci/registers.py
"""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "build" / "objects" / "cuda"
ENTRY = re.compile(
    r"Compiling entry function '(\w+)' for 'sm_(\w+)'.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers",
    re.DOTALL,
)


def kernel_of(demangled: str) -> str:
    """`spmm.cu`'s Sum of run_kernel<256, gnnlib::cuda::(anonymous namespace)::Sum<float, …>>."""
    own = re.search(
        r"run_kernel<[^,]*, gnnlib::cuda::(?:\(anonymous namespace\)::)?(\w+)", demangled
    )
    if own is None and "run_kernel" in demangled:
        raise ValueError(f"no name of a kernel is found in {demangled}")
    return own[1] if own else "CUB"


def main() -> int:
    found = []
    for path in sorted(FOLDER.glob("*.ptxas")):
        found += [(path.stem, *match) for match in ENTRY.findall(path.read_text())]
    if not found:
        print(f"no reports of ptxas in {FOLDER}: build with nvcc first", file=sys.stderr)
        return 1
    names = [entry[1] for entry in found]
    if filt := shutil.which("c++filt"):
        done = subprocess.run(
            [filt], input="\n".join(names), capture_output=True, text=True, check=True
        )
        names = done.stdout.splitlines()
    rows: dict[tuple[str, str, str], list[tuple[int, ...]]] = defaultdict(list)
    for name, (stem, _, arch, *numbers) in zip(names, found, strict=True):
        rows[stem, kernel_of(name), arch].append(tuple(map(int, numbers)))
    print(f"{'file':20} {'kernel':20}   sm forms registers stack spills")
    spilled = 0
    for (stem, kernel, arch), forms in sorted(rows.items()):
        stack, stores, loads, registers = (max(column) for column in zip(*forms))
        spills = max(stores, loads)
        spilled += kernel != "CUB" and (spills > 0 or stack > 0)
        print(f"{stem:20} {kernel:20} {arch:>4} {len(forms):5} {registers:9} {stack:5} {spills:6}")
    return int(spilled > 0)


if __name__ == "__main__":
    sys.exit(main())
