"""Checkpoints outlive kills, full disks and read-only folders; damaged bytes are one error."""

import errno
import io
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gnnlib.train import CheckpointError, atomic, load_checkpoint, save_checkpoint

STATE = {"step": 7, "w": torch.arange(6.0).view(2, 3), "nested": [{"x": torch.ones(3)}, None, 0.1]}


def run(script: str, *args: object) -> str:
    """What a script prints that a fresh process runs."""
    command = [sys.executable, "-c", script, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_saved_is_loaded(tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", STATE)
    loaded = load_checkpoint(str(tmp_path / "a.ckpt"))
    assert list(loaded) == list(STATE)
    assert torch.equal(loaded["w"], STATE["w"])
    assert torch.equal(loaded["nested"][0]["x"], torch.ones(3))
    assert loaded["nested"][1:] == [None, 0.1]
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_torch_reads_it_too(tmp_path):
    save_checkpoint(tmp_path / "model.pt", {"w": STATE["w"]})
    assert torch.equal(torch.load(tmp_path / "model.pt", weights_only=True)["w"], STATE["w"])


KILLS = """
import os, random, signal, sys, time
import torch
from gnnlib.train import load_checkpoint, save_checkpoint

torch.set_num_threads(1)
folder, kills = sys.argv[1], int(sys.argv[2])
state = lambda step: {"step": step, "w": torch.full((200_000,), float(step))}
save_checkpoint(f"{folder}/warm.ckpt", state(0))
load_checkpoint(f"{folder}/warm.ckpt")
random.seed(0)
loaded = midway = last = 0
for n in range(kills):
    path = f"{folder}/{n}.ckpt"
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        step = 1
        save_checkpoint(path, state(step))
        os.write(begun, b"1")
        while True:
            step += 1
            save_checkpoint(path, state(step))
    os.read(ready, 1)
    time.sleep(random.random() * 0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready), os.close(begun)
    midway += os.path.exists(f"{folder}/.{n}.ckpt.draft")
    found = load_checkpoint(path)
    assert found["step"] >= 1 and (found["w"] == found["step"]).all(), n
    loaded, last = loaded + 1, last + found["step"]
    save_checkpoint(path, state(0))  # the next writer is not disturbed by what was left
    assert not os.path.exists(f"{folder}/.{n}.ckpt.draft")
print(loaded, midway, last)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_a_hundred_kills_leave_a_hundred_checkpoints(tmp_path):
    loaded, midway, steps = map(int, run(KILLS, tmp_path, 100).split())
    assert loaded == 100
    assert midway >= 10  # that many were killed while they wrote
    assert steps > 100


class FullDisk(io.FileIO):
    """A file on a disk with room for some bytes."""

    def __init__(self, path: Path, room: int):
        super().__init__(path, "w")
        self.room = room

    def write(self, data) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(memoryview(data)[: self.room])
        self.room -= written
        return written


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "a.ckpt", STATE)
    return tmp_path / "a.ckpt"


def assert_only_the_old_one_is_there(path: Path) -> None:
    assert load_checkpoint(path)["step"] == STATE["step"]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("room", [0, 1, 100, 1000, 1 << 20])
def test_a_full_disk_leaves_the_last_checkpoint(room, saved, monkeypatch):
    big = {"step": 8, "w": torch.rand(500_000)}

    def open_on_full_disk(path: Path, mode: str) -> io.BufferedWriter:
        return io.BufferedWriter(FullDisk(path, room))

    monkeypatch.setattr(atomic, "open", open_on_full_disk, raising=False)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, big)
    monkeypatch.undo()
    assert_only_the_old_one_is_there(saved)
    save_checkpoint(saved, big)
    assert load_checkpoint(saved)["step"] == 8


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_late_leaves_the_last_checkpoint(call, saved, monkeypatch):
    monkeypatch.setattr(atomic.os, call, no_space)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, {"step": 8})
    monkeypatch.undo()
    assert_only_the_old_one_is_there(saved)


LIMITED = """
import os, resource, sys
import torch
from gnnlib.train import load_checkpoint, save_checkpoint

path = sys.argv[1]
save_checkpoint(path, {"step": 7})
for limit in (0, 1, 512, 4096, 100_000, 399_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save_checkpoint(path, {"step": 8, "w": torch.rand(100_000)})
    except OSError as error:
        there = os.listdir(os.path.dirname(path))
        print(type(error).__name__, load_checkpoint(path)["step"], there)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of a file")
def test_a_file_that_the_system_does_not_let_grow_leaves_the_last_checkpoint(tmp_path):
    lines = run(LIMITED, tmp_path / "a.ckpt").splitlines()
    assert lines == ["OSError 7 ['a.ckpt']"] * 6


READ_ONLY = """
import os, sys
from gnnlib.train import load_checkpoint, save_checkpoint

os.chdir(sys.argv[1])
save_checkpoint("a.ckpt", {"step": 7})
os.chmod(".", 0o555)
if os.geteuid() == 0:
    os.setuid(65534)  # for root no folder is read-only
try:
    save_checkpoint("a.ckpt", {"step": 8})
except PermissionError:
    print(load_checkpoint("a.ckpt")["step"], os.listdir("."))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs file permissions")
def test_a_read_only_folder_leaves_the_last_checkpoint(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    try:
        assert run(READ_ONLY, folder).strip() == "7 ['a.ckpt']"
    finally:
        folder.chmod(0o755)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save_checkpoint(tmp_path / "nowhere" / "a.ckpt", STATE)
    with pytest.raises(FileNotFoundError, match="a.ckpt"):
        load_checkpoint(tmp_path / "a.ckpt")


def assert_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.ckpt is not a readable checkpoint: "):
        load_checkpoint(path)


def test_a_truncated_checkpoint_is_refused(saved):
    content = saved.read_bytes()
    for length in range(0, len(content), 5):
        assert_refused(saved, content[:length])


def test_a_flipped_bit_is_refused(saved):
    content = saved.read_bytes()
    generator = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        assert_refused(saved, bytes(damaged))


class Gadget:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (os.fspath(self.path),)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    save_checkpoint(tmp_path / "sealed.ckpt", {"w": Gadget(tmp_path / "ran")})
    torch.save({"w": Gadget(tmp_path / "ran")}, tmp_path / "zip.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps({"w": Gadget(tmp_path / "ran")}))
    for name in ("sealed", "zip", "plain"):
        with pytest.raises(CheckpointError, match="not a readable checkpoint"):
            load_checkpoint(tmp_path / f"{name}.ckpt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"epoch,loss\n1,0.5\n", b"PK\x05\x06" + bytes(18)])
def test_other_files_are_refused(content, tmp_path):
    assert_refused(tmp_path / "a.ckpt", content)


def test_a_tensor_alone_is_no_checkpoint(tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", torch.ones(3))  # pyright: ignore[reportArgumentType]
    with pytest.raises(CheckpointError, match="it holds a Tensor"):
        load_checkpoint(tmp_path / "a.ckpt")


def test_a_link_is_followed_and_what_is_no_file_is_left_alone(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    with atomic.atomic_write(tmp_path / "link") as file:
        file.write(b"whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    with (
        pytest.raises(OSError, match="must be a file to be replaced"),
        atomic.atomic_write(os.devnull),
    ):
        pass
    assert Path(os.devnull).is_char_device()
