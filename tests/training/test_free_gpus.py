"""Free GPUs of a shared machine: what nvidia-smi's answers mean, who is named, and that no two trainings take one."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from thinkscale.errors import ConfigError
from thinkscale.training.free_gpus import Gpu, parse_gpus, read_gpus, reserved, visible_gpus
from thinkscale.training.launch import trained_on
from thinkscale.training.settings import SftSettings
from thinkscale.training.sft import train_sft

UUIDS = tuple(f"GPU-{digit * 8}-1111-2222-3333-444444444444" for digit in "abcd")

FOUR = f"""\
0, {UUIDS[0]}, NVIDIA H100 80GB HBM3, 81559, 61234, Disabled
1, {UUIDS[1]}, NVIDIA H100 80GB HBM3, 81559, 4, Disabled
2, {UUIDS[2]}, NVIDIA H100 80GB HBM3, 81559, 40960, Disabled
3, {UUIDS[3]}, NVIDIA H100 80GB HBM3, 81559, 545, Disabled
"""
PROCESSES = f"""\
{UUIDS[0]}, 4000001, /opt/conda/bin/python, 60000
{UUIDS[0]}, 4000002, python train.py --names=a, b, 1200
"""
"""As the driver prints them; the second GPU's memory is held by a container that this one does not see."""

FAKE = """#!/bin/sh
case "$1" in
  *mig.mode*) {mig} ;;
  --query-gpu=*) cat "$GPUS" ;;
  --query-compute-apps=*) cat "$PROCESSES" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi prints the files `gpus` and `processes` of this folder."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(FAKE.format(mig='cat "$GPUS"'))
    program.chmod(0o755)
    (tmp_path / "gpus").write_text(FOUR)
    (tmp_path / "processes").write_text(PROCESSES)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GPUS", str(tmp_path / "gpus"))
    monkeypatch.setenv("PROCESSES", str(tmp_path / "processes"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("used", "is_free"), [(512, True), (40960, False)])
def test_what_this_process_keeps_open_is_no_other_training(machine: Path, used: int, is_free: bool) -> None:
    (machine / "gpus").write_text(f"0, {UUIDS[0]}, NVIDIA H100 80GB HBM3, 81559, {used}, Disabled\n")
    (machine / "processes").write_text(f"{UUIDS[0]}, {os.getpid()}, python, {used}\n")
    found = read_gpus()
    assert found is not None
    assert found[0].is_free is is_free
    assert ("by this process" in found[0].account()) is not is_free


def test_a_gpu_is_free_without_processes_and_with_little_memory_in_use(machine: Path) -> None:
    found = read_gpus()
    assert found is not None
    assert [gpu.is_free for gpu in found] == [False, True, False, True]
    assert [(gpu.total_mib, gpu.used_mib) for gpu in found] == [
        (81559, 61234),
        (81559, 4),
        (81559, 40960),
        (81559, 545),
    ]
    assert found[0].account() == (
        "GPU 0 (NVIDIA H100 80GB HBM3): 61,234 of 81,559 MiB in use: python (process 4000001, 60,000 MiB), "
        "python train.py --names=a, b (process 4000002, 1,200 MiB)"
    )
    assert found[2].account() == (
        "GPU 2 (NVIDIA H100 80GB HBM3): 40,960 of 81,559 MiB in use, by a process that cannot be seen from here "
        "(another container or user)"
    )


def test_the_owner_of_a_process_is_named_where_the_system_knows_him() -> None:
    me = os.getppid()
    (gpu,) = parse_gpus(f"0, {UUIDS[0]}, NVIDIA A100, 81920, 900, [N/A]\n", f"{UUIDS[0]}, {me}, [Not Found], [N/A]\n")
    import pwd

    owner = pwd.getpwuid(os.getuid()).pw_name
    assert gpu.holders == (f"a process without a name (process {me} of {owner})",)
    assert not gpu.is_free


@pytest.mark.parametrize(
    ("line", "used", "is_free"),
    [
        ("0, GPU-a, NVIDIA GB10, [N/A], [N/A], [N/A]", None, True),
        ("0, GPU-a, Tesla K80, 11441, [Not Supported]", None, True),
        ("0, GPU-a, NVIDIA A100, 81920, [Insufficient Permissions], Enabled", None, False),
        ("0, GPU-a, NVIDIA A100, 81920, 1023, Disabled", 1023, True),
        ("0, GPU-a, NVIDIA A100, 81920, 1024, Disabled", 1024, False),
    ],
)
def test_what_a_driver_does_not_say_is_read_as_unknown(line: str, used: int | None, is_free: bool) -> None:
    (gpu,) = parse_gpus(line, "")
    assert (gpu.used_mib, gpu.is_free) == (used, is_free)


def test_lines_that_are_no_gpu_are_passed_over() -> None:
    assert parse_gpus("No devices were found\n", "") == ()
    (gpu,) = parse_gpus(FOUR.splitlines()[1], "\n[Unknown Error]\n")
    assert gpu.is_free


def test_an_old_driver_without_mig_and_a_failing_one(machine: Path) -> None:
    program = machine / "bin" / "nvidia-smi"
    program.write_text(FAKE.format(mig='echo "Field \\"mig.mode.current\\" is not a valid field to query."; exit 2'))
    (machine / "gpus").write_text("0, GPU-a, Tesla V100-SXM2-32GB, 32510, 11\n")
    assert read_gpus() == (Gpu(index="0", uuid="GPU-a", name="Tesla V100-SXM2-32GB", total_mib=32510, used_mib=11),)
    program.write_text(
        '#!/bin/sh\necho "NVIDIA-SMI has failed because it couldn\'t communicate with the driver."\nexit 9\n'
    )
    assert read_gpus() is None


@pytest.mark.parametrize(
    ("visible", "shown"),
    [
        (None, "0123"),
        ("2,0", "20"),
        (" 1 , 3 ", "13"),
        (UUIDS[3], "3"),
        ("GPU-bbbb,GPU-aaaa", "10"),
        ("0,7,1", "0"),  # as CUDA: what it does not know hides all that follows
        ("1,1", "1"),
        ("", ""),
        ("-1", ""),
        ("NoDevFiles", ""),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(visible: str | None, shown: str) -> None:
    found = visible_gpus(parse_gpus(FOUR, ""), visible)
    assert "".join(gpu.index for gpu in found if isinstance(gpu, Gpu)) == shown


def test_a_part_of_a_gpu_is_taken_as_it_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-5555")
    with reserved(1) as taken:
        assert taken == ("MIG-5555",)


def test_free_ones_are_taken_in_order_and_said(machine: Path) -> None:
    said: list[str] = []
    with reserved(2, said.append) as taken:
        assert taken == (UUIDS[1], UUIDS[3])
    assert said == ["training on GPU 1, GPU 3"]


def test_too_few_free_ones_are_refused_with_who_holds_the_others(machine: Path) -> None:
    with pytest.raises(ConfigError) as refused, reserved(3):
        pass
    text = str(refused.value)
    assert "3 GPUs are wanted, and of 4 2 are free (no process on it and less than 1,024 MiB in use)" in text
    assert "GPU 0 (NVIDIA H100 80GB HBM3): 61,234 of 81,559 MiB in use: python (process 4000001, 60,000 MiB)" in text
    assert "GPU 2 (NVIDIA H100 80GB HBM3): 40,960 of 81,559 MiB in use, by a process that cannot be seen" in text
    assert "ask for 2 (--gpus 2)" in text


def test_visible_devices_bound_the_choice(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    with reserved(1) as taken:
        assert taken == (UUIDS[3],)


def test_visible_devices_that_name_just_those_wanted_are_obeyed_with_a_word(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    said: list[str] = []
    with reserved(1, said.append) as taken:
        assert taken == (UUIDS[2],)
    (text,) = said
    assert text.startswith("CUDA_VISIBLE_DEVICES names the GPUs, so they are used as they are: GPU 2 ")
    assert "40,960 of 81,559 MiB in use" in text


def test_two_trainings_that_start_at_once_take_different_gpus(machine: Path) -> None:
    with reserved(1) as first, reserved(1) as second:
        assert (first, second) == ((UUIDS[1],), (UUIDS[3],))
        with pytest.raises(ConfigError, match=rf"taken by a training that is starting \(process {os.getpid()}\)"):
            ExitStack().enter_context(reserved(1))
    with reserved(1) as again:
        assert again == (UUIDS[1],)


HOLDER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from thinkscale.training.free_gpus import reserved
with reserved(1) as taken:
    print(*taken, flush=True)
    sys.stdin.read()
"""


def test_a_killed_training_holds_nothing(machine: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(machine)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == UUIDS[1]
        with reserved(1) as beside:
            assert beside == (UUIDS[3],)
        holder.kill()
        holder.wait()
        with reserved(1) as after:
            assert after == (UUIDS[1],)


def test_a_lock_that_is_a_link_to_a_file_of_others_is_not_followed(machine: Path) -> None:
    precious = machine / "precious"
    precious.write_text("keep me")
    (machine / f"thinkscale-{UUIDS[1]}.lock").symlink_to(precious)
    with reserved(1) as taken:
        assert taken == (UUIDS[3],)
    assert precious.read_text() == "keep me"


@pytest.mark.parametrize("visible", [None, "", "-1"])
def test_without_a_gpu_one_process_uses_none_and_several_are_refused(
    visible: str | None, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is None:
        (machine / "gpus").write_text("No devices were found\n")
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with reserved(1) as taken:
        assert taken == ()
    with pytest.raises(ConfigError, match=r"2 GPUs are wanted .* --set train.device=cpu trains in 2 processes"):
        ExitStack().enter_context(reserved(2))


def test_looking_for_gpus_does_not_load_torch(machine: Path) -> None:
    code = "import sys\nfrom thinkscale.training.free_gpus import reserved\nimport thinkscale.training.launch\n"
    code += "with reserved(1): print('torch' in sys.modules)"
    environment = {**os.environ, "TMPDIR": str(machine)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("visible", "count", "taken"),
    [(None, 1, ("0",)), (None, 2, ("0", "1")), ("1,0", 1, ("1",)), ("1,0", 2, ("1", "0"))],
)
def test_without_nvidia_smi_what_torch_sees_is_taken_and_that_said(
    visible: str | None, count: int, taken: tuple[str, ...], machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("PATH", str(machine))
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    said: list[str] = []
    with reserved(count, said.append) as found:
        assert found == taken
    (text,) = said
    assert "nvidia-smi is not here, so whether GPUs are free is not known" in text
    with pytest.raises(ConfigError, match="3 GPUs are wanted, and torch sees 2; ask for --gpus 2"):
        ExitStack().enter_context(reserved(3))


def test_without_nvidia_smi_and_gpus_one_process_trains_on_the_cpu(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("PATH", str(machine))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with reserved(1) as found:
        assert found == ()
    with pytest.raises(ConfigError, match=r"2 GPUs are wanted .* and there is none here"):
        ExitStack().enter_context(reserved(2))


def test_one_process_trains_on_the_cpu_where_torch_cannot_use_the_free_gpu_and_is_told(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)

    def train(rows: list[int], settings: SftSettings, out: Path, on_step: object) -> str:
        return os.environ["CUDA_VISIBLE_DEVICES"]

    said: list[str] = []
    shown = trained_on(None, train, said.append)([], SftSettings(model="m"), machine / "out", print)
    assert shown == "0,1,3"  # what later stages see is as it was
    assert said[0] == "training on GPU 1"
    assert "cannot use the GPU: training on the CPU" in said[1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    on_cpu = SftSettings(model="m", device="cpu")
    assert trained_on(None, train, said.append)([], on_cpu, machine / "out", print) == "0"
    assert len(said) == 2


@pytest.mark.lab
def test_one_process_on_a_gpu_is_another_than_this_one_so_that_the_gpu_is_free_afterwards(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The torch of this machine sees no GPU, which the process that was started says."""
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"1 GPUs were taken, but torch .* sees 0"):
        trained_on(None, train_sft)([], SftSettings(model="m"), machine / "out", print)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
