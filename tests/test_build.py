"""The build: what setup.py says when something is missing, and what the library is made of."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gnnlib
from gnnlib import _extension

ROOT = Path(__file__).parents[1]
LIBRARY = Path(gnnlib.__file__).parent / "_C.abi3.so"

needs_kernels = pytest.mark.skipif(not _extension.has_kernels, reason="built without kernels")
CLONES = ("baseline", "avx2", "avx512")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with all that setup.py needs: no test builds into the real checkout."""
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "gnnlib").mkdir()
    (tmp_path / "gnnlib/__init__.py").touch()
    (tmp_path / "csrc/cpu").mkdir(parents=True)
    return tmp_path


def _setup(
    checkout: Path, *command: str, isolated: bool = False, env: dict[str, str] | None = None
):
    """Runs setup.py; `isolated` leaves out this environment's packages, setuptools excepted."""
    ours = ("GNNLIB_", "CXX", "LDFLAGS", "MAX_JOBS")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    prefix = [sys.executable]
    if isolated:
        import setuptools

        only = checkout / "packages"
        only.mkdir()
        for name in ("setuptools", "_distutils_hack"):
            (only / name).symlink_to(Path(setuptools.__file__).parents[1] / name)
        variables["PYTHONPATH"] = str(only)
        prefix += ["-S"]
    return subprocess.run(
        [*prefix, "setup.py", *command],
        cwd=checkout,
        env=variables | {"GNNLIB_CUDA": "0"} | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def _message(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return [line for line in done.stderr.splitlines() if line.strip()]


def test_without_torch_it_says_what_to_type(checkout: Path):
    lines = _message(_setup(checkout, "build_ext", isolated=True))
    assert len(lines) <= 6
    assert "torch" in lines[0]
    assert any("pip install torch==2.13.0" in line for line in lines)
    assert any("GNNLIB_BUILD_EXT=0" in line for line in lines)


def test_without_a_compiler_it_says_what_to_type(checkout: Path):
    lines = _message(_setup(checkout, "build_ext", env={"PATH": str(checkout)}))
    assert len(lines) <= 6
    assert "no C++ compiler" in lines[0]
    assert any("install g++" in line for line in lines)


def test_a_compiler_that_is_named_and_missing_is_named_in_the_message(checkout: Path):
    assert "no-such-c++" in _message(_setup(checkout, "build_ext", env={"CXX": "no-such-c++"}))[0]


def test_what_is_missing_is_said_before_anything_is_downloaded(checkout: Path):
    # pip asks for the metadata first, by this command, and only then resolves the dependencies.
    assert (
        "no C++ compiler" in _message(_setup(checkout, "dist_info", env={"PATH": str(checkout)}))[0]
    )


def test_without_kernels_neither_torch_nor_a_compiler_is_needed(checkout: Path):
    done = _setup(
        checkout, "--version", isolated=True, env={"PATH": str(checkout), "GNNLIB_BUILD_EXT": "0"}
    )
    assert (done.returncode, done.stdout.strip()) == (0, gnnlib.__version__), done.stderr


def test_cuda_without_nvcc_is_refused(checkout: Path):
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    (checkout / "c++").symlink_to(compiler)
    done = _setup(checkout, "build_ext", env={"PATH": str(checkout), "GNNLIB_CUDA": "1"})
    assert "no nvcc" in _message(done)[0]


@pytest.mark.skipif(
    not all(map(shutil.which, ("c++", "ar"))), reason="needs a C++ compiler, stands in for nvcc"
)
def test_cuda_is_compiled_for_the_architectures_that_nvcc_knows(checkout: Path):
    (checkout / "csrc/cuda").mkdir()
    for name in ("csrc/cuda/one.cu", "csrc/cuda/gpu.cpp", "csrc/cpu/two.cpp"):
        (checkout / name).touch()
    (checkout / "toolkit/lib64").mkdir(parents=True)
    subprocess.run(["ar", "rcs", checkout / "toolkit/lib64/libcudart_static.a"], check=True)
    nvcc = checkout / "bin/nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text(f"""#!/bin/sh
case "$*" in
--list-gpu-arch) printf 'compute_75\\ncompute_80\\ncompute_90\\n' ;;
--dryrun*) echo '#$ TOP={checkout}/toolkit' >&2 ;;
*)
    echo "$@" >>{checkout}/asked
    echo 'ptxas info    : Used 40 registers' >&2
    while [ "$1" != -o ]; do shift; done
    printf 'x: \\n' >"$2.d"
    exec c++ -x c++ -c /dev/null -o "$2" ;;
esac
""")
    nvcc.chmod(0o755)
    path = {"PATH": f"{nvcc.parent}:{os.environ['PATH']}"}

    def asked(**environment: str) -> list[str]:
        done = _setup(checkout, "build_ext", env=path | {"GNNLIB_CUDA": "1"} | environment)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ptxas" not in done.stdout + done.stderr
        command = (checkout / "asked").read_text().splitlines()[-1]
        return re.findall(r"-gencode=arch=(\S+)", command)

    both = ["compute_80,code=sm_80", "compute_90,code=sm_90", "compute_90,code=compute_90"]
    assert asked() == both
    assert (checkout / "build/objects/cuda/one.ptxas").read_text().endswith("registers\n")
    one = ["compute_90a,code=sm_90a", "compute_90a,code=compute_90a"]
    assert asked(GNNLIB_CUDA_ARCHS="90a") == one
    wrong = path | {"GNNLIB_CUDA": "1", "GNNLIB_CUDA_ARCHS": "hopper"}
    done = _setup(checkout, "build_ext", env=wrong)
    assert _message(done)[0] == "GNNLIB_CUDA_ARCHS must read like \"80;90;100\", got 'hopper'"
    nvcc.write_text(nvcc.read_text().replace("exec c++", "exit 1; exec c++"))
    done = _setup(checkout, "build_ext", env=path | {"GNNLIB_CUDA": "1", "GNNLIB_CUDA_ARCHS": "80"})
    assert _message(done)[-1].startswith("GNNLIB_CUDA=0 and this command again")


@pytest.mark.parametrize("name", ["GNNLIB_CUDA", "GNNLIB_BUILD_EXT"])
def test_a_switch_that_is_neither_0_nor_1_is_refused(checkout: Path, name: str):
    message = _message(_setup(checkout, "build_ext", env={name: "yes"}))[0]
    assert message == f"{name} must be 0, 1 or unset, got 'yes'"


def test_the_version_is_written_alike_in_both_places():
    written = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert written is not None
    assert gnnlib.__version__ == written[1]


def test_a_build_compiles_only_what_changed(checkout: Path):
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    (checkout / "csrc/cpu/a.h").write_text("inline int one() { return 1; }\n")
    (checkout / "csrc/cpu/a.cpp").write_text('#include "cpu/a.h"\nint a() { return one(); }\n')
    (checkout / "csrc/cpu/b.cpp").write_text("int b() { return 2; }\n")

    def compiled() -> set[str]:
        done = _setup(checkout, "build_ext", "--inplace", env={"GNNLIB_CUDA": "0"})
        assert done.returncode == 0, done.stderr
        return set(re.findall(r"^compiling (\S+)$", done.stdout, re.M))

    assert compiled() == {"csrc/cpu/a.cpp", "csrc/cpu/b.cpp"}
    assert (checkout / "gnnlib/_C.abi3.so").exists()
    assert compiled() == set()
    (checkout / "csrc/cpu/a.h").write_text("inline int one() { return 3; }\n")
    assert compiled() == {"csrc/cpu/a.cpp"}


def test_a_file_that_does_not_compile_is_named_with_its_command(checkout: Path):
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    (checkout / "csrc/cpu/bad.cpp").write_text("int f() { return nothing; }\n")
    text = "\n".join(_message(_setup(checkout, "build_ext", "--inplace", env={"GNNLIB_CUDA": "0"})))
    assert "csrc/cpu/bad.cpp does not compile; the command was" in text
    assert re.search("nothing.* was not declared|undeclared identifier 'nothing'", text)
    assert not list((checkout / "gnnlib").glob("*.so"))


def test_every_clone_is_compiled_and_the_baseline_is_linked_first(checkout: Path):
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    machine = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True)
    clones = CLONES if machine.stdout.startswith("x86_64") else CLONES[:1]
    (checkout / "csrc/cpu/clones").mkdir()
    (checkout / "csrc/cpu/clones/one.cpp").write_text(
        "#define NAME_(clone) name_##clone\n#define NAME(clone) NAME_(clone)\n"
        'extern "C" __attribute__((visibility("default"))) int NAME(GNNLIB_CLONE)() { return 1; }\n'
    )
    # The last word on the order is the linker's own: a compiler that notes what it was given.
    log = checkout / "log"
    wrapper = checkout / "compiler"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {compiler} "$@"\n')
    wrapper.chmod(0o755)
    done = _setup(checkout, "build_ext", "--inplace", env={"GNNLIB_CUDA": "0", "CXX": str(wrapper)})
    assert done.returncode == 0, done.stderr
    link = next(line for line in log.read_text().splitlines() if "-shared" in line)
    assert re.findall(r"clones/(\w+)/one\.o", link) == list(clones)


@needs_kernels
def test_the_library_is_a_module_too():
    done = subprocess.run(
        [sys.executable, "-c", "import torch, gnnlib._C; print(gnnlib._C.__file__)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(LIBRARY), done.stderr


@needs_kernels
@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf")
def test_the_library_needs_nothing_but_the_stable_part_of_torch():
    told = subprocess.run(
        ["readelf", "-d", str(LIBRARY)], capture_output=True, text=True, check=True
    )
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", told.stdout)
    assert "libtorch_cpu.so" in needed
    assert not [name for name in needed if re.search("torch_python|cuda|cudart|libpython", name)]
    assert not re.search(r"\((RPATH|RUNPATH)\)", told.stdout), "torch is found by importing it"


@needs_kernels
@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
def test_the_library_uses_no_symbol_of_cuda_or_of_torchs_unstable_api():
    told = subprocess.run(
        ["nm", "-D", "--undefined-only", str(LIBRARY)], capture_output=True, text=True, check=True
    )
    undefined = [line.split()[-1] for line in told.stdout.splitlines()]
    assert any(name.startswith(("torch_", "aoti_torch_")) for name in undefined)
    # Mangled names of namespaces at::, c10:: and caffe2:: are C++, which changes between versions.
    assert not [n for n in undefined if re.match(r"_ZNK?(2at|3c10|6caffe2)", n)]
    # What is asked of CUDA is asked at run time: a CPU build of torch has none of its symbols.
    everywhere = {"aoti_torch_device_type_cuda"}
    assert not {n for n in undefined if re.search("cuda", n, re.IGNORECASE)} - everywhere


def _capability(asked: str) -> str:
    code = "from gnnlib import _extension; print(_extension.cpu_capability())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"GNNLIB_CPU_CAPABILITY": asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@needs_kernels
def test_the_clone_that_runs_has_a_name():
    assert _extension.cpu_capability() in CLONES


@needs_kernels
@pytest.mark.parametrize("clone", CLONES)
def test_a_lower_clone_can_be_asked_for(clone: str):
    best = _capability("")
    lower = CLONES[min(CLONES.index(clone), CLONES.index(best))]
    assert _capability(clone) == lower
