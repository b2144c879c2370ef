"""Builds `gnnlib/_C.abi3.so`: every kernel, bound to PyTorch's stable ABI (see CONTRIBUTING.md).

Environment: GNNLIB_BUILD_EXT=0 makes a package without kernels; GNNLIB_CUDA=1 insists on the CUDA
kernels, 0 leaves them out, unset builds them where nvcc is found; GNNLIB_CUDA_ARCHS="80;90;100";
MAX_JOBS bounds the parallel compiles; CXX, CXXFLAGS, LDFLAGS as everywhere.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
OBJECTS = Path("build/objects")  # relative to ROOT, like every path on a compiler's command line
CLONES = "csrc/cpu/clones/"

TORCH_FLOOR = (2, 10)
CXX_FLAGS = [
    *"-std=c++20 -O3 -DNDEBUG -fPIC -fvisibility=hidden -fvisibility-inlines-hidden".split(),
    *"-fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi".split(),
]
# What ptxas says of registers and spills is kept beside the object: .ci/registers.py reads it.
NVCC_FLAGS = (
    "-std=c++20 -O3 -DNDEBUG -Xcompiler -fPIC,-fvisibility=hidden -cudart static -Xptxas -v".split()
)
CUDA_ARCHS = ["80", "90", "100"]  # those of them that nvcc knows
PTXAS = re.compile(r"ptxas info |    \d+ bytes stack frame|\s*$")  # lines that are no warnings
DEFINES = [
    "-DTORCH_TARGET_VERSION=0x020a000000000000",  # one byte each: 2, 10 (headeronly/version.h)
    "-DPy_LIMITED_API=0x030a0000",
]
# In the order they are linked: of a template that several clones instantiate under one name (say
# std::sort), the linker keeps the first copy, which must be the one every processor can run.
X86_CLONES = {
    "baseline": [],
    "avx2": "-mavx2 -mfma -mf16c -mbmi2".split(),
    "avx512": (
        "-mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mbmi2"
        " -mprefer-vector-width=512"
    ).split(),
}


def stop(*lines: str) -> NoReturn:
    raise SystemExit("\n".join(["", *lines]))


def switch(name: str) -> bool | None:
    """An environment variable that may be 0, 1 or unset (None)."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        stop(f"{name} must be 0, 1 or unset, got {value!r}")
    return bool(int(value)) if value else None


class Job(NamedTuple):
    """One compile: what it is called when it is announced, its object file, its command."""

    title: str
    target: Path
    command: list[str]


class Torch(NamedTuple):
    version: str
    folder: Path


def find_torch() -> Torch:
    """Where torch lives, found without the seconds it takes to import it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        stop(
            f"gnnlib compiles its kernels against torch, and {sys.executable} has none. Either",
            "  pip install torch==2.13.0    and then this command again, or",
            "  pip install .                without --no-build-isolation: pip fetches torch, or",
            "  GNNLIB_BUILD_EXT=0 pip install --no-build-isolation .    for no kernels (slow).",
        )
    version = importlib.metadata.version("torch")
    if tuple(int(n) for n in re.findall(r"\d+", version)[:2]) < TORCH_FLOOR:
        stop(
            f"gnnlib needs torch >= 2.10, and {sys.executable} has torch {version}.",
            "  pip install torch==2.13.0    and then this command again.",
        )
    return Torch(version, Path(spec.origin).parent)


def find_compiler() -> list[str]:
    asked = os.environ.get("CXX")
    for name in [asked] if asked else ["c++", "g++", "clang++"]:
        command = shlex.split(name)
        if shutil.which(command[0]):
            return command
    stop(
        f"gnnlib compiles its kernels, and there is no C++ compiler ({asked or 'c++'} not found).",
        "  Debian, Ubuntu:  sudo apt install g++          Fedora:  sudo dnf install gcc-c++",
        "  macOS:           xcode-select --install        conda:   conda install cxx-compiler",
        "  or name one:     CXX=/path/to/g++ and this command again",
        "  or without kernels (slow):  GNNLIB_BUILD_EXT=0 and this command again",
    )


def find_nvcc() -> str | None:
    """The nvcc to use, or None for a build without CUDA."""
    wanted = switch("GNNLIB_CUDA")
    if wanted is False:
        return None
    nvcc = shutil.which("nvcc")
    if wanted and nvcc is None:
        stop(
            "GNNLIB_CUDA=1 asks for the CUDA kernels, and there is no nvcc on PATH.",
            "  Put the CUDA toolkit's bin folder on PATH, or leave GNNLIB_CUDA unset.",
        )
    return nvcc


def cuda_toolkit(nvcc: str) -> Path:
    """The toolkit's folder. The nvcc on PATH may be a wrapper, so nvcc itself is asked."""
    told = subprocess.run(
        [nvcc, "--dryrun", "-x", "cu", os.devnull], capture_output=True, text=True, check=False
    )
    top = re.search(r"^#\$ TOP=(.+)$", told.stderr, re.MULTILINE)
    if top is None:
        stop(f"{nvcc} --dryrun does not say where its toolkit is:", told.stderr[-500:])
    return Path(top[1].strip()).resolve()


def gencodes(nvcc: str) -> list[str]:
    """Machine code for each architecture asked for, and PTX of the last for those to come."""
    asked = os.environ.get("GNNLIB_CUDA_ARCHS")
    if asked:
        archs = [arch.strip() for arch in asked.split(";") if arch.strip()]
        if not archs or not all(re.fullmatch(r"\d{2,3}[af]?", arch) for arch in archs):
            stop(f'GNNLIB_CUDA_ARCHS must read like "80;90;100", got {asked!r}')
    else:
        known = subprocess.run(
            [nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=True
        ).stdout.split()
        archs = [arch for arch in CUDA_ARCHS if f"compute_{arch}" in known]
        if not archs:
            stop(f"{nvcc} knows none of the architectures {', '.join(CUDA_ARCHS)};", *known)
    flags = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
    return [*flags, f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}"]


def max_jobs() -> int:
    asked = os.environ.get("MAX_JOBS", "")
    if asked and not (asked.isdigit() and int(asked) > 0):
        stop(f"MAX_JOBS must be a positive number, got {asked!r}")
    return int(asked) if asked else os.cpu_count() or 1


def dependencies(depfile: Path) -> list[Path]:
    """The files named in a makefile rule as compilers write them (`target: a b \\ c`)."""
    rule = depfile.read_text().replace("\\\n", " ").split(":", 1)[1]
    names = re.findall(r"(?:\\ |\S)+", rule)
    return [ROOT / name.replace("\\ ", " ") for name in names]


def is_fresh(job: Job, stamp: str) -> bool:
    target = ROOT / job.target
    try:
        if target.with_suffix(".stamp").read_text() != stamp:
            return False
        made = target.stat().st_mtime
        return all(p.stat().st_mtime < made for p in dependencies(target.with_suffix(".d")))
    except FileNotFoundError:
        return False


def compile_one(job: Job, torch: Torch) -> None:
    """Compiles unless the object is newer than all it was made from, by the same command."""
    stamp = f"torch {torch.version}\n{shlex.join(job.command)}\n"
    if is_fresh(job, stamp):
        return
    # One string: the parts of a print mix with those of other threads.
    sys.stdout.write(f"compiling {job.title}\n")
    sys.stdout.flush()
    target, scratch = ROOT / job.target, ROOT / job.target.with_suffix(f".{os.getpid()}.o")
    started = time.time()
    command = [*job.command, "-MMD", "-MF", f"{scratch}.d", "-o", str(scratch)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = "\n".join(line for line in done.stderr.splitlines() if not PTXAS.match(line))
    if said:
        print(said, file=sys.stderr, flush=True)
    if done.returncode:
        for leftover in (scratch, Path(f"{scratch}.d")):
            leftover.unlink(missing_ok=True)
        lines = [f"{job.title} does not compile; the command was", f"  {shlex.join(job.command)}"]
        if target.parent.name == "cuda":
            lines.append("GNNLIB_CUDA=0 and this command again leaves the CUDA kernels out.")
        stop(*lines)
    # The time the compile began: a header saved while it ran makes the object stale.
    os.utime(scratch, (started, started))
    os.replace(f"{scratch}.d", target.with_suffix(".d"))
    os.replace(scratch, target)
    if target.parent.name == "cuda":
        target.with_suffix(".ptxas").write_text(done.stderr)
    target.with_suffix(".stamp").write_text(stamp)


def cpu_jobs(
    compiler: list[str], includes: list[str], sources: list[str], defines: list[str]
) -> list[Job]:
    """`defines` are for all but the clones, which know no other device."""
    machine = subprocess.run(
        [*compiler, "-dumpmachine"], capture_output=True, text=True, check=True
    ).stdout
    is_x86 = machine.startswith(("x86_64", "amd64"))
    clones = X86_CLONES if is_x86 else {"baseline": []}
    flags = [*CXX_FLAGS, *DEFINES, *(["-DGNNLIB_X86_CLONES=1"] if is_x86 else []), *includes]
    flags += shlex.split(os.environ.get("CXXFLAGS", ""))
    jobs = []
    for source in sources:
        target = OBJECTS / Path(source).relative_to("csrc").with_suffix(".o")
        if not source.startswith(CLONES):
            jobs.append(Job(source, target, [*compiler, *flags, *defines, "-c", source]))
            continue
        for clone, extra in clones.items():
            command = [*compiler, *flags, f"-DGNNLIB_CLONE={clone}", *extra, "-c", source]
            clone_target = target.parent / clone / target.name
            jobs.append(Job(f"{source} ({clone})", clone_target, command))
    order = {OBJECTS / "cpu/clones" / clone: n for n, clone in enumerate(clones)}
    return sorted(jobs, key=lambda job: order.get(job.target.parent, -1))


def cuda_jobs(nvcc: str, includes: list[str]) -> list[Job]:
    flags = [*NVCC_FLAGS, *gencodes(nvcc), *DEFINES, *includes]
    jobs = []
    for path in sorted(ROOT.glob("csrc/cuda/*.cu")):
        source = path.relative_to(ROOT).as_posix()
        target = (OBJECTS / "cuda" / path.name).with_suffix(".o")
        jobs.append(Job(source, target, [nvcc, *flags, "-c", source]))
    return jobs


class BuildKernels(build_ext):
    """Compiles what changed, in parallel, and links it into one library."""

    def build_extension(self, ext: Extension) -> None:
        torch, compiler, nvcc = find_torch(), find_compiler(), find_nvcc()
        # System folders: their warnings are not ours.
        headers = [str(torch.folder / "include"), sysconfig.get_path("include")]
        includes = ["-Icsrc", *(part for folder in headers for part in ("-isystem", folder))]
        defines = ["-DGNNLIB_WITH_CUDA=1"] if nvcc else []
        sources = [*ext.sources, *(["csrc/cuda/gpu.cpp"] if nvcc else [])]
        jobs = cpu_jobs(compiler, includes, sources, defines)
        libraries = [f"-L{torch.folder / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10"]
        if nvcc:
            jobs += cuda_jobs(nvcc, includes)
            toolkit = cuda_toolkit(nvcc)
            libraries += [f"-L{folder}" for folder in (toolkit / "lib64", toolkit / "lib")]
            libraries += "-lcudart_static -ldl -lrt -lpthread".split()
        for folder in {(ROOT / job.target).parent for job in jobs}:
            folder.mkdir(parents=True, exist_ok=True)
        # The longest first, those are the clones: linked last, they would also be begun last.
        with ThreadPoolExecutor(max_jobs()) as pool:
            running = [pool.submit(compile_one, job, torch) for job in reversed(jobs)]
            try:
                for compiled in running:
                    compiled.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        library = ROOT / self.get_ext_fullpath(ext.name)
        self.link(compiler, [str(job.target) for job in jobs], libraries, library)

    def link(
        self, compiler: list[str], objects: list[str], libraries: list[str], library: Path
    ) -> None:
        library.parent.mkdir(parents=True, exist_ok=True)
        scratch = library.with_name(f".{library.name}.{os.getpid()}")
        if sys.platform == "darwin":
            kind = ["-bundle", "-undefined", "dynamic_lookup"]
        else:
            kind = ["-shared", "-Wl,--as-needed", "-Wl,-O1"]
        extra = shlex.split(os.environ.get("LDFLAGS", ""))
        command = [*compiler, *kind, *objects, *libraries, *extra, "-o", str(scratch)]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            stop("gnnlib._C does not link; the command was", f"  {shlex.join(command)}")
        os.replace(scratch, library)
        print("linked", library.name, flush=True)

    def copy_file(self, infile, outfile, *args, **kwargs):  # pyright: ignore[reportIncompatibleMethodOverride]
        # A library that a running process has mapped must be replaced, never written into.
        scratch = f"{outfile}.{os.getpid()}"
        shutil.copy2(infile, scratch)
        os.replace(scratch, outfile)
        return str(outfile), True


def extensions() -> list[Extension]:
    if switch("GNNLIB_BUILD_EXT") is False:
        return []
    # pip asks for the metadata first: better to say now what is missing than after it has
    # downloaded every dependency.
    if {"dist_info", "build", "build_ext", "bdist_wheel", "editable_wheel"} & set(sys.argv[1:]):
        if sys.platform == "win32":
            stop("gnnlib's kernels build on Linux and macOS; here, set GNNLIB_BUILD_EXT=0 (slow).")
        for find in (find_torch, find_compiler, find_nvcc):
            find()
    found = [*ROOT.glob("csrc/*.cpp"), *ROOT.glob("csrc/bindings/*.cpp")]
    found += ROOT.glob("csrc/cpu/**/*.cpp")
    sources = sorted(path.relative_to(ROOT).as_posix() for path in found)
    return [Extension("gnnlib._C", sources, py_limited_api=True)]


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildKernels},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
