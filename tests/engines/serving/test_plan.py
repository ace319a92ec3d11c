"""Plans for GPUs, checked by hand.

R1-Distill-Qwen-32B: 32.8e9 weights of 2 bytes are 65,600,000,000 bytes. A token's cache is keys and values (2) of 64
layers, 8 heads of 128, 2 bytes each: 262,144 bytes. A GPU of 80 GiB leaves 0.9 x 80 - 2 = 70 GiB = 75,161,927,680.
"""

import json
from pathlib import Path

import pytest

from thinkscale.engines.models import find_model
from thinkscale.engines.serving.footprint import Footprint, footprint_of_card, footprint_of_config, read_footprint
from thinkscale.engines.serving.gpus import parse_gpus
from thinkscale.engines.serving.plan import Machine, ServePlan, fewest_gpus, in_eight_bits, plan_server, reasons
from thinkscale.engines.serving.vllm import Server, vllm_command
from thinkscale.errors import ConfigError, ModelError

ONE_TRACE = 32768


def footprint(name: str) -> Footprint:
    card = find_model(name)
    assert card is not None
    return footprint_of_card(card)


def planned(name: str, gpus: int, memory: float, concurrency: int = 16, length: int | None = ONE_TRACE) -> ServePlan:
    machine = Machine(num_gpus=gpus, gpu_memory_gib=memory)
    return plan_server(footprint(name), machine, max_model_len=length, concurrency=concurrency)


def test_a_32b_model_takes_what_its_config_says() -> None:
    teacher = footprint("DeepSeek-R1-Distill-Qwen-32B")
    assert teacher.weight_bytes == 65_600_000_000
    assert [teacher.kv_bytes_per_token(split) for split in (1, 2, 4, 8)] == [262_144, 131_072, 65_536, 32_768]
    assert teacher.kv_bytes_per_token(16) == 32_768, "half a head cannot be cached: with 16 GPUs heads are copied"


@pytest.mark.parametrize(
    ("gpus", "split", "copies", "tokens", "sequences"),
    [
        # 75,161,927,680 - 65,600,000,000 = 9,561,927,680 bytes / 262,144 = 36,475 tokens: one sequence of 32,768
        (1, 1, 1, 36_475, 1),
        # Over two: 75,161,927,680 - 32,800,000,000 = 42,361,927,680 / 131,072 = 323,195: nine; two copies hold two
        (2, 2, 1, 323_195, 9),
        # Two copies hold 18, so 16 need no wider split
        (4, 2, 2, 323_195, 18),
        (8, 2, 4, 323_195, 36),
    ],
)
def test_32b_on_80_gib(gpus: int, split: int, copies: int, tokens: int, sequences: int) -> None:
    plan = planned("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", gpus, 80)
    found = (plan.tensor_parallel, plan.data_parallel, plan.cache_tokens, plan.sequences, plan.idle_gpus)
    assert found == (split, copies, tokens, sequences, 0)


@pytest.mark.parametrize(("gpus", "copies"), [(1, 1), (2, 2), (4, 4), (8, 8)])
def test_who_needs_one_trace_at_a_time_gets_the_narrowest_split(gpus: int, copies: int) -> None:
    plan = planned("DeepSeek-R1-Distill-Qwen-32B", gpus, 80, concurrency=1)
    assert (plan.tensor_parallel, plan.data_parallel, plan.sequences) == (1, copies, copies)


def test_more_traces_than_any_split_holds_gets_the_roomiest() -> None:
    # Over four: 75,161,927,680 - 16,400,000,000 = 58,761,927,680 / 65,536 = 896,635 tokens = 27 sequences; over two: 18
    plan = planned("DeepSeek-R1-Distill-Qwen-32B", 4, 80, concurrency=1000)
    assert (plan.tensor_parallel, plan.cache_tokens, plan.sequences) == (4, 896_635, 27)


def test_a_7b_model_fits_one_gpu_of_24_gib() -> None:
    # 0.9 x 24 - 2 = 19.6 GiB = 21,045,339,750 bytes; less 15,240,000,000; a token takes 2 x 28 x 4 x 128 x 2 = 57,344
    plan = planned("Qwen2.5-7B-Instruct", 1, 24)
    assert plan.footprint.kv_bytes_per_token() == 57_344
    assert (plan.tensor_parallel, plan.cache_tokens, plan.sequences) == (1, 101_237, 3)


def test_the_length_is_a_trace_and_its_question_where_the_model_has_room() -> None:
    assert planned("DeepSeek-R1-Distill-Qwen-7B", 1, 80, length=None).max_model_len == 32768 + 4096
    assert planned("Qwen2.5-7B-Instruct", 1, 80, length=None).max_model_len == 32768
    assert planned("Qwen2.5-Math-7B-Instruct", 1, 80, length=None).max_model_len == 4096


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(ConfigError, match=r"does not fit 1 x 80 GiB.*61\.1 GiB.*36,864 tokens 9\.0 GiB") as refused:
        planned("DeepSeek-R1-Distill-Qwen-32B", 1, 80, length=None)
    ways = str(refused.value).partition("what would fit: ")[2]
    assert "--max-model-len 35840" in ways
    assert "--gpus 2" in ways
    assert "--quantization fp8" in ways
    planned("DeepSeek-R1-Distill-Qwen-32B", 1, 80, length=35840)
    planned("DeepSeek-R1-Distill-Qwen-32B", 2, 80, length=None)


def test_a_way_out_that_would_not_fit_is_not_named() -> None:
    with pytest.raises(ConfigError) as refused:
        planned("DeepSeek-R1-Distill-Qwen-32B", 1, 24, length=None)
    ways = str(refused.value).partition("what would fit: ")[2]
    assert ways == "--gpus 4 of this size"
    with pytest.raises(ConfigError, match="a smaller model, or larger GPUs"):
        planned("DeepSeek-R1", 8, 24)


def test_the_model_is_never_split_in_unequal_parts() -> None:
    # 12 attention heads: three GPUs hold one copy over two at most, and eight cannot share them
    plan = planned("DeepSeek-R1-Distill-Qwen-1.5B", 3, 24, concurrency=10_000)
    assert plan.tensor_parallel in (1, 2)
    assert fewest_gpus(footprint("DeepSeek-R1-Distill-Qwen-1.5B"), 3.4, ONE_TRACE) is None


def test_gpus_that_make_no_copy_are_named() -> None:
    plan = planned("DeepSeek-R1-Distill-Qwen-32B", 3, 80)
    assert (plan.tensor_parallel, plan.data_parallel, plan.idle_gpus) == (2, 1, 1)
    assert "idle: 1 of 3 GPUs" in reasons(plan)[-1]


def test_a_length_beyond_the_models_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="made for 40,960 tokens, not 65,536"):
        planned("QwQ-32B", 8, 80, length=65536)


def test_a_latent_cache_is_the_same_on_every_gpu() -> None:
    teacher = footprint("DeepSeek-R1")
    assert teacher.kv_bytes_per_token(1) == teacher.kv_bytes_per_token(8) == 61 * 576 * 2
    with pytest.raises(ConfigError, match="not stored in 16 bits"):
        in_eight_bits(teacher)


def test_the_labs_model_by_its_card_and_by_its_files() -> None:
    folder = Path(__file__).resolve().parents[3] / "src" / "thinkscale" / "lab" / "model"
    by_card, by_files = footprint("lab"), read_footprint(folder)
    assert by_card.architecture == by_files.architecture
    assert by_card.kv_bytes_per_token() == by_files.kv_bytes_per_token() == 2 * 3 * 4 * 32 * 4
    assert by_files.weight_bytes == pytest.approx(by_card.weight_bytes, rel=0.01)
    assert (by_files.dtype, by_files.context_tokens) == ("float32", 1024)


def test_a_config_with_a_text_part_and_without_a_head_size_is_read() -> None:
    text = {"hidden_size": 512, "num_attention_heads": 8, "num_hidden_layers": 3, "max_position_embeddings": 2048}
    found = footprint_of_config("own", {"torch_dtype": "bfloat16", "text_config": {**text}}, 1000)
    assert (found.architecture.kv_heads, found.architecture.head_dim, found.dtype) == (8, 64, "bfloat16")
    assert found.kv_bytes_per_token() == 2 * 3 * 8 * 64 * 2


def test_a_folder_that_cannot_be_sized_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json: cannot be read"):
        read_footprint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    with pytest.raises(ModelError, match="there are no weights"):
        read_footprint(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"1234")
    with pytest.raises(ModelError, match="no number 'num_attention_heads'"):
        read_footprint(tmp_path)


def test_the_command_says_all_that_changes_results() -> None:
    server = Server(model="Qwen/QwQ-32B", reasoning_parser="deepseek_r1", host="0.0.0.0", port=9000)
    words = vllm_command(planned("QwQ-32B", 8, 80), server, extra=["--max-num-seqs", "64"])
    assert " ".join(words) == (
        "vllm serve Qwen/QwQ-32B --host 0.0.0.0 --port 9000 --dtype bfloat16 --tensor-parallel-size 2 "
        "--data-parallel-size 4 --max-model-len 32768 --gpu-memory-utilization 0.9 --generation-config vllm "
        "--stream-interval 16 --seed 42 --reasoning-parser deepseek_r1 --enable-prefix-caching --max-num-seqs 64"
    )
    assert server.base_url == "http://127.0.0.1:9000/v1"


def test_gpus_are_read_as_nvidia_smi_lists_them() -> None:
    listed = "0, GPU-aa11, 81559\n1, GPU-bb22, 81559\n2, GPU-cc33, 24564\n"
    assert parse_gpus(listed) == [81559 / 1024, 81559 / 1024, 24564 / 1024]
    assert parse_gpus(listed, "2,0") == [81559 / 1024, 24564 / 1024]
    assert parse_gpus(listed, "GPU-bb") == [81559 / 1024]
    assert parse_gpus(listed, "") == []
    assert parse_gpus("0, GPU-aa11, [N/A]\n") == []
