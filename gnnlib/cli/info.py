"""`gnnlib info`."""

import json
import platform
from typing import Any

import click
import torch

from .. import _extension
from ..train.run_config import installed_version

PACKAGES = ("gnnlib", "torch", "numpy", "scipy", "scikit-learn", "networkx", "matplotlib")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout.")
def info(as_json: bool) -> None:
    """Show versions, which kernels run, and CUDA."""
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: installed_version(name) for name in PACKAGES},
        "compiled_kernels": _extension.has_kernels,
        "cpu_kernels": _extension.cpu_capability(),
        "cpu_threads": torch.get_num_threads(),
        "cuda_kernels": _extension.has_cuda_kernels(),
        "cuda_of_torch": torch.version.cuda,
        "cuda_devices": devices,
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):18}{_shown(value)}")


def _shown(fact: Any) -> str:
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if isinstance(fact, list):
        fact = ", ".join(fact)
    return str(fact or "none")
