"""The GPU's path without a GPU: which device is chosen, what its attention asks of torch's kernel, and that no tensor is on
the wrong device.

No test here says that it works on a GPU: nobody has seen that. With torch's fake tensors every operation checks devices,
dtypes and shapes and computes nothing.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from structlog.testing import capture_logs
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel, varlen
from transformers import PreTrainedModel

from tests.classify.checkpoints import tiny_bert, tiny_distilbert, tiny_electra, tiny_roberta, write_bundle
from tests.classify.conftest import EngineMaker
from worker.bench import stock
from worker.classify import encoder as encoders
from worker.classify import fallback
from worker.classify.attention import VarlenAttention, require_varlen
from worker.classify.bundle import load_bundle
from worker.classify.device import choose_device
from worker.classify.encoder import PackedEncoder
from worker.classify.fallback import PaddedModel
from worker.classify.forward import PackedForward
from worker.classify.linear import Kernel
from worker.classify.pack import pack
from worker.classify.precision import Choice, choose
from worker.classify.weights import read_weights
from worker.errors import ModelError

TEXTS = [[0, *range(4, 4 + length), 2] for length in (0, 1, 5, 5, 30, 126)]
TWO_KINDS = {"review": {"labels": ["negative", "positive"], "columns": [0, 1]}}
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
Tensor = torch.Tensor


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes torch say that it sees one."""

    def plug_in(capability: tuple[int, int] = (8, 0), hip: str | None = None) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
        monkeypatch.setattr(torch.version, "hip", hip)

    return plug_in


@pytest.mark.parametrize("asked", ["auto", "cuda"])
@pytest.mark.parametrize("capability", [(8, 0), (8, 9), (12, 0)])
def test_a_gpu_that_can_is_taken(gpu: Callable[..., None], asked: str, capability: tuple[int, int]) -> None:
    gpu(capability)
    assert choose_device(asked) == CUDA
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize(
    ("capability", "hip", "reason"), [((7, 5), None, "capability 7.5"), ((9, 4), "7.2", "ROCm")]
)
def test_a_gpu_that_cannot_is_left_alone_and_the_reason_is_told(
    gpu: Callable[..., None], capability: tuple[int, int], hip: str | None, reason: str
) -> None:
    gpu(capability, hip)
    with capture_logs() as logs:
        assert choose_device("auto") == CPU
    assert reason in logs[0]["reason"]
    with pytest.raises(ModelError, match=reason):
        choose_device("cuda")


def test_answers_are_named_by_the_gpu_and_the_cuda_that_gave_them(
    gpu: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu()
    names = set()
    for version in ("12.8", "13.2"):
        monkeypatch.setattr(torch.version, "cuda", version)
        served = PackedForward(SimpleNamespace(device=CUDA, vocabulary=9), choose("auto", CUDA, 64, 64))  # type: ignore[arg-type]  # all that is asked of it
        assert "Some GPU" in served.identity
        names.add(served.identity)
    assert len(names) == 2


def test_without_a_gpu_auto_takes_the_cpu_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with capture_logs() as logs:
        assert choose_device("auto") == CPU
    assert logs == []
    with pytest.raises(ModelError, match="no GPU"):
        choose_device("cuda")


def test_a_torch_whose_attention_lacks_an_argument_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    require_varlen()
    monkeypatch.setattr(varlen, "varlen_attn", lambda query, key, value, *, return_aux=None: query)
    with pytest.raises(ModelError, match="lacks what the worker needs"):
        require_varlen()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 46.00 MiB"),
        RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    ],
)
def test_a_device_that_fails_at_the_start_is_no_bug(
    make_engine: EngineMaker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(PackedForward, "logits", fail)
    with pytest.raises(ModelError, match=r"cannot be computed here: .*CUDA"):
        make_engine()


def reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_bounds: Tensor,
    key_bounds: Tensor,
    longest_query: int,
    longest_key: int,
    *,
    scale: float,
    num_splits: int,
) -> Tensor:
    """What torch documents of `varlen_attn`, text by text; and what its kernel demands beside."""
    assert num_splits == 1
    assert query.dtype == key.dtype == value.dtype
    assert query.stride(-1) == key.stride(-1) == value.stride(-1) == 1
    assert query.shape[-1] % 8 == 0
    assert query_bounds.dtype == key_bounds.dtype == torch.int32
    context = torch.empty_like(query)
    bounds = [list(pairwise(some.tolist())) for some in (query_bounds, key_bounds)]
    assert longest_query == max(end - begin for begin, end in bounds[0])
    assert longest_key == max(end - begin for begin, end in bounds[1])
    assert (bounds[0][-1][1], bounds[1][-1][1]) == (len(query), len(key))
    for (begin, end), (first, last) in zip(*bounds, strict=True):
        q, k, v = (some.transpose(0, 1) for some in (query[begin:end], key[first:last], value[first:last]))
        context[begin:end] = (torch.softmax(q @ k.transpose(1, 2) * scale, -1) @ v).transpose(0, 1)
    return context


@pytest.mark.parametrize("make", [tiny_bert, tiny_roberta])
def test_its_attention_computes_what_the_cpu_s_does(
    make: Callable[..., PreTrainedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(write_bundle(make(3), tmp_path, kinds=TWO_KINDS))
    choice = Choice("float32", Kernel.BLAS, {})
    served = PackedEncoder(bundle.architecture, read_weights(bundle), choice, CPU)
    expected = served.logits(pack(TEXTS))
    asked: list[int] = []

    def counted(*arguments: Tensor, **options: float) -> Tensor:
        asked.append(1)
        return reference(*arguments, **options)  # type: ignore[arg-type]  # as the encoder passes them

    monkeypatch.setattr(varlen, "varlen_attn", counted)
    monkeypatch.setattr(
        encoders, "RunAttention", lambda packed, heads, width: VarlenAttention(packed, heads, width, CPU)
    )
    found = served.logits(pack(TEXTS))
    assert len(asked) == bundle.architecture.layers
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("astray", [False, True], ids=["as it is", "a tensor left on the CPU"])
@pytest.mark.parametrize("make", [tiny_bert, tiny_roberta])
def test_the_packed_forward_keeps_everything_on_the_gpu(
    make: Callable[..., PreTrainedModel], astray: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(write_bundle(make(3), tmp_path, kinds=TWO_KINDS))
    weights = read_weights(bundle)
    choice = choose("auto", CUDA, bundle.architecture.hidden, bundle.architecture.intermediate)
    real, devices = varlen.varlen_attn, set()

    def seen(*arguments: Tensor | int, **options: float) -> Tensor:
        devices.update(some.device.type for some in arguments if isinstance(some, Tensor))
        return real(*arguments, **options)  # type: ignore[arg-type,return-value]  # as the encoder passes them

    monkeypatch.setattr(varlen, "varlen_attn", seen)
    with FakeTensorMode(allow_non_fake_inputs=True), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        served = PackedEncoder(bundle.architecture, weights, choice, CUDA)
        if astray:
            served._positions = served._positions.cpu()
            with pytest.raises(RuntimeError, match="device"):
                served.logits(pack(TEXTS))
            return
        logits = served.logits(pack(TEXTS))
    assert (logits.device, logits.dtype, logits.shape) == (CPU, torch.float32, (len(TEXTS), 3))
    assert devices == {"cuda"}, "fake tensors do not look into the kernel"


@pytest.mark.parametrize("make", [tiny_distilbert, tiny_electra])
def test_the_padded_forward_keeps_everything_on_the_gpu(
    make: Callable[..., PreTrainedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(write_bundle(make(), tmp_path, kinds=TWO_KINDS))
    weights = read_weights(bundle)
    built = make()  # before the fakes begin, which cannot be moved in place
    monkeypatch.setattr(fallback, "_built", lambda *_: built)
    with FakeTensorMode(allow_non_fake_inputs=True):
        served = PaddedModel(bundle.architecture, weights, torch.bfloat16, CUDA)
        logits, _ = served.logits(TEXTS)
    assert (logits.device, logits.dtype, logits.shape) == (CPU, torch.float32, (len(TEXTS), 2))


def test_what_the_worker_is_compared_with_runs_where_the_worker_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(write_bundle(tiny_bert(3), tmp_path, kinds=TWO_KINDS))
    model = stock.stock_model(bundle, "bfloat16", torch.device("meta"))
    devices: list[str] = []

    def forward(**inputs: Tensor) -> SimpleNamespace:
        devices.extend(some.device.type for some in inputs.values())
        return SimpleNamespace(logits=torch.zeros(len(inputs["input_ids"]), 3))

    assert {some.device.type for some in model.parameters()} == {"meta"}
    monkeypatch.setattr(model, "forward", forward)
    stock.padded_seconds(model, TEXTS, 1)
    stock.plain_seconds(model, stock.plain_tokenizer(bundle), ["w1 w2"])
    assert devices == ["meta"] * 4
