#!/usr/bin/env bash
# On a machine with an NVIDIA GPU and an installed torch: the tests on the GPU, compute-sanitizer, and
# the benchmarks, within ten minutes. Nothing is built here.
#
#   GNNLIB_CUDA=1 pip wheel --no-deps --no-build-isolation --wheel-dir dist .     (where nvcc is)
#   bash benchmarks/device.sh dist benchmarks/results/h200                       (where the GPU is)
#
# The first folder has gnnlib's wheel and those of whatever else is to be there: pytest, hypothesis,
# numpy, scipy and the other dependencies, torch_geometric, torch_scatter, torch_sparse. Tables, plots
# and logs go to the second. The exit code is that of the first step that failed; later ones still run.
set -uo pipefail
wheels=$(cd "${1:?the folder of the wheels}" && pwd)
mkdir -p "${2:?the folder for the results}"
out=$(cd "$2" && pwd)
python=${PYTHON:-python3}
failed=0

# step SECONDS NAME COMMAND…: its output is in NAME.log, the end of it on the terminal.
step() {
    local limit=$1 name=$2 code
    shift 2
    echo "== $name (at ${SECONDS}s)"
    timeout --signal=INT --kill-after=20 "$limit" "$@" >"$out/$name.log" 2>&1
    code=$?
    tail -n 6 "$out/$name.log"
    ((code == 0)) || echo "== $name: exit code $code"
    ((failed)) || failed=$code
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
step 120 install "$python" -m pip install --no-index --no-deps "$wheels"/*.whl

# A folder where `gnnlib` is what was installed, not the sources beside it.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -r tests benchmarks pyproject.toml "$scratch"
cd "$scratch" || exit 1
step 30 info "$python" -c 'import gnnlib._extension as e, torch; print(torch.cuda.get_device_name())
assert e.has_cuda_kernels(), "the wheel has no CUDA kernels"'

tests=("$python" -m pytest -q -p no:cacheprovider)
step 200 tests "${tests[@]}" -n 4 tests/ops tests/test_cuda.py -k "cuda"

if sanitizer=$(command -v compute-sanitizer); then
    short=(tests/ops/test_spmm.py tests/ops/test_attention.py tests/ops/test_segment.py
        -k "cuda and (hub or agrees)" -x)
    for tool in memcheck racecheck; do
        step 60 "$tool" "$sanitizer" --tool "$tool" --error-exitcode 9 "${tests[@]}" "${short[@]}"
    done
else
    echo "== no compute-sanitizer on PATH"
fi

bench=("$python" -W ignore -m benchmarks --device cuda --out "$out")
step 60 training "${bench[@]}" training
step 110 ops "${bench[@]}" ops --graphs cora,physics,power-law-17,uniform-17,power-law-20,uniform-20
step 60 layers "${bench[@]}" layers --graphs cora,power-law-17
echo "== done, ${SECONDS}s, results in $out"
exit "$failed"
