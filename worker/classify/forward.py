"""One interface over the packed encoder and the fallback, and the choice between them."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from worker.classify.attention import require_varlen
from worker.classify.bundle import Bundle
from worker.classify.device import choose_device, set_threads
from worker.classify.encoder import PackedEncoder
from worker.classify.fallback import PaddedModel
from worker.classify.integers import exact_levels
from worker.classify.normalise import NORMALISER_VERSION
from worker.classify.pack import pack
from worker.classify.precision import Choice, choose
from worker.classify.weights import read_weights
from worker.errors import ModelError
from worker.settings import ModelSettings

log = structlog.get_logger(__name__)


class Forward(Protocol):
    """Token ids to logits. On a CPU any number of threads may call `logits` at once; on a GPU one."""

    precision: str
    identity: str
    """What besides the bundle decides the bits of an answer, as far as libraries and machine have names."""
    packed: bool
    on_gpu: bool
    machine: str
    """What computes: the kind of device, and its name or what the processor can."""
    vocabulary: int

    def logits(self, texts: Sequence[Sequence[int]]) -> tuple[list[list[float]], int]:
        """Rows of logits [texts][columns], and how many rows of padding were computed. Blocks; raises whatever happens."""
        ...

    def free_memory(self) -> None:
        """Give cached memory back, after running out of it."""
        ...


class PackedForward:
    """The packed encoder."""

    packed = True

    def __init__(self, encoder: PackedEncoder, choice: Choice) -> None:
        self._encoder = encoder
        self.precision = choice.precision
        self.on_gpu = encoder.device.type == "cuda"
        self.machine = _machine(on_gpu=self.on_gpu)
        self.identity = _identity(choice, f"packed-{choice.kernel}", self.machine)
        self.vocabulary = encoder.vocabulary

    def logits(self, texts: Sequence[Sequence[int]]) -> tuple[list[list[float]], int]:
        """See `Forward`."""
        packed = pack(texts)
        rows: list[list[float]] = self._encoder.logits(packed).tolist()
        return rows, packed.rows - packed.tokens

    def free_memory(self) -> None:
        """See `Forward`."""
        _free_memory(on_gpu=self.on_gpu)


class PaddedForward:
    """The stock model in length buckets."""

    packed = False

    def __init__(self, model: PaddedModel, choice: Choice) -> None:
        self._model = model
        self.precision = choice.precision
        self.on_gpu = model.device.type == "cuda"
        self.machine = _machine(on_gpu=self.on_gpu)
        self.identity = _identity(choice, "padded", self.machine)
        self.vocabulary = model.vocabulary

    def logits(self, texts: Sequence[Sequence[int]]) -> tuple[list[list[float]], int]:
        """See `Forward`."""
        logits, padding = self._model.logits(texts)
        rows: list[list[float]] = logits.tolist()
        return rows, padding

    def free_memory(self) -> None:
        """See `Forward`."""
        _free_memory(on_gpu=self.on_gpu)


def make_forward(bundle: Bundle, settings: ModelSettings) -> Forward:
    """Load a bundle's weights onto the device that the settings ask for. Takes seconds.

    Raises:
        ModelError: no such device, a precision that it or the model cannot be computed in, or weights that do not fit.
    """
    set_threads()
    device = choose_device(settings.device)
    architecture = bundle.architecture
    choice = choose(
        settings.precision,
        device,
        architecture.hidden or 384,
        architecture.intermediate or 4 * 384,
        int8=_may_be_int8(bundle),
    )
    if device.type == "cuda" and architecture.why_not_packed is None:
        require_varlen()
    weights = read_weights(bundle)
    forward: Forward
    if architecture.why_not_packed is None:
        if device.type == "cuda":
            log.warning("model runs on a GPU: a text's last digits may differ from batch to batch")
        forward = PackedForward(PackedEncoder(architecture, weights, choice, device), choice)
    elif choice.integers:
        raise ModelError(
            f"int8 is for models that can be packed: {architecture.why_not_packed}",
            hint="leave TAGLINE_MODEL_PRECISION out",
        )
    else:
        log.warning(
            "model runs padded: slower, and a text's last digits may differ from batch to batch",
            reason=architecture.why_not_packed,
        )
        forward = PaddedForward(PaddedModel(architecture, weights, choice.dtype, device), choice)
    log.info(
        "model loaded",
        model=bundle.manifest.name,
        digest=bundle.digest,
        device=forward.machine,
        precision=choice.precision,
        kernel=str(choice.kernel),
        measured_us_a_row={precision: round(s * 1e6, 2) for precision, s in choice.seconds.items()},
    )
    return forward


def _may_be_int8(bundle: Bundle) -> bool:
    """Whether `auto` may take int8: the bundle tells what that changes, and rounding here is no coarser than there."""
    check = bundle.manifest.int8
    if check is None or bundle.architecture.why_not_packed is not None:
        return False
    try:
        return check.allows(exact_levels())
    except ModelError:
        return False


def _machine(*, on_gpu: bool) -> str:
    """On a GPU with the version of CUDA: its libraries compute, and one version of torch comes with several of them."""
    import torch

    if on_gpu:
        return f"cuda-{torch.version.cuda}-{torch.cuda.get_device_name()}"
    return f"cpu-{torch.backends.cpu.get_cpu_capability()}"


def _identity(choice: Choice, way: str, machine: str) -> str:
    """Bits differ between instruction sets and versions of torch, so answers are shared within one of each only."""
    import tokenizers
    import torch

    version = torch.__version__.split("+")[0]
    return (
        f"{choice.precision}/{way}/{machine}/torch-{version}/tokenizers-{tokenizers.__version__}"
        f"/n{NORMALISER_VERSION}"
    )


def _free_memory(*, on_gpu: bool) -> None:
    if on_gpu:
        import torch

        torch.cuda.empty_cache()
