"""One interface over the packed encoder and the fallback, and the choice between them."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from worker.classify.bundle import Bundle
from worker.classify.device import choose_device, set_threads
from worker.classify.encoder import PackedEncoder
from worker.classify.fallback import PaddedModel
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

    def __init__(self, encoder: PackedEncoder, precision: str, identity: str) -> None:
        self._encoder = encoder
        self.precision = precision
        self.identity = identity
        self.on_gpu = encoder.device.type == "cuda"
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

    def __init__(self, model: PaddedModel, precision: str, identity: str) -> None:
        self._model = model
        self.precision = precision
        self.identity = identity
        self.on_gpu = model.device.type == "cuda"
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
        settings.precision, device, architecture.hidden or 384, architecture.intermediate or 4 * 384
    )
    weights = read_weights(bundle)
    forward: Forward
    if architecture.why_not_packed is None:
        encoder = PackedEncoder(architecture, weights, choice, device)
        forward = PackedForward(
            encoder, choice.precision, _identity(choice, f"packed-{choice.kernel}", device.type)
        )
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
        model = PaddedModel(architecture, weights, choice.dtype, device)
        forward = PaddedForward(model, choice.precision, _identity(choice, "padded", device.type))
    log.info(
        "model loaded",
        model=bundle.manifest.name,
        digest=bundle.digest,
        device=device.type,
        precision=choice.precision,
        kernel=str(choice.kernel),
        measured_ms={precision: round(s * 1e3, 3) for precision, s in choice.seconds.items()},
    )
    return forward


def _identity(choice: Choice, way: str, device_type: str) -> str:
    """Bits differ between instruction sets and versions of torch, so answers are shared within one of each only."""
    import tokenizers
    import torch

    machine = (
        torch.cuda.get_device_name() if device_type == "cuda" else torch.backends.cpu.get_cpu_capability()
    )
    version = torch.__version__.split("+")[0]
    return (
        f"{choice.precision}/{way}/{device_type}-{machine}/torch-{version}/tokenizers-{tokenizers.__version__}"
        f"/n{NORMALISER_VERSION}"
    )


def _free_memory(*, on_gpu: bool) -> None:
    if on_gpu:
        import torch

        torch.cuda.empty_cache()
