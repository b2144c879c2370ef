"""The CUDA kernels compiled for the host, as `torch.ops.gnnlib_emu`: what they compute is tested
on machines without a GPU. What that can and cannot show: docs/gpu.md."""

import fcntl
import os
import shlex
import subprocess
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
FOLDER = Path(os.environ.get("GNNLIB_EMU_BUILD", ROOT / "build" / "emu"))
FLAGS = "-std=c++20 -O1 -g1 -fPIC -Wall -Wextra -Wno-psabi -fvisibility=hidden".split()
FLAGS += ["-DGNNLIB_EMU", "-Icsrc"]
VERSION = "-DTORCH_TARGET_VERSION=0x020a000000000000"


def sources() -> list[Path]:
    found = [ROOT / "csrc" / "library.cpp", *ROOT.glob("csrc/bindings/*.cpp")]
    found += [*ROOT.glob("csrc/cuda/*.cu"), *ROOT.glob("csrc/cuda/*.cpp")]
    return sorted([*found, *ROOT.glob("csrc/cuda/emu/*.cpp")])


def build() -> Path:
    """Compiles the emulation unless it is newer than its sources; one process at a time does."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(FOLDER / "_emu.so")


def _build(library: Path) -> Path:
    torch_folder = Path(torch.__file__).parent
    newest = max(path.stat().st_mtime for path in (ROOT / "csrc").rglob("*") if path.is_file())
    if library.exists() and library.stat().st_mtime > newest:
        return library
    extra = shlex.split(os.environ.get("CXXFLAGS", ""))
    compiler = shlex.split(os.environ.get("CXX", "c++"))

    def compile_one(source: Path) -> Path:
        target = FOLDER / f"{source.parent.name}-{source.name}.o"
        language = ["-x", "c++"] if source.suffix == ".cu" else []
        command = [*compiler, *FLAGS, VERSION, "-isystem", str(torch_folder / "include"), *extra]
        subprocess.run(
            [*command, *language, "-c", str(source), "-o", str(target)], cwd=ROOT, check=True
        )
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources()))
    scratch = library.with_suffix(f".{os.getpid()}")
    libraries = [f"-L{torch_folder / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10"]
    linked = [*compiler, "-shared", *map(str, objects), *libraries]
    linked += [*shlex.split(os.environ.get("LDFLAGS", "")), "-o", str(scratch)]
    subprocess.run(linked, cwd=ROOT, check=True)
    os.replace(scratch, library)
    return library


@contextmanager
def emulated() -> Iterator[None]:
    """`torch.ops.gnnlib` runs the CUDA kernels, in the emulation, on tensors of the CPU."""
    torch.ops.load_library(str(build()))
    library = torch.library.Library("gnnlib", "IMPL")
    try:
        for name in torch._C._dispatch_get_all_op_names():
            if not name.startswith("gnnlib_emu::"):
                continue
            operator = name.split("::")[1]
            kernel = getattr(torch.ops.gnnlib_emu, operator).default
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch tells of the first override
                library.impl(operator, kernel, "CPU", allow_override=True)
        yield
    finally:
        library._destroy()
