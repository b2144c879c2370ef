import json

import torch

from tests.cli.program import gnnlib


def test_info_names_versions_kernels_and_cuda():
    done = gnnlib("info")
    assert done.exit_code == 0, done.output
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["torch"] == torch.__version__
    facts = json.loads(gnnlib("info --json").stdout)
    assert facts["cpu_kernels"] in ("avx512", "avx2", "baseline", "reference")
    assert facts["compiled_kernels"] is (facts["cpu_kernels"] != "reference")
    assert facts["cuda_devices"] == [] or torch.cuda.is_available()
