"""bundle.json: what a bundle says of itself."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.classify.answers import LABELS
from worker.classify.sentiment import KindHead

FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER, MANIFEST = "config.json", "model.safetensors", "tokenizer.json", "bundle.json"
HASHED_FILES = (CONFIG, WEIGHTS, TOKENIZER)
"""The files of a bundle whose content decides its answers, besides bundle.json."""

FEWEST_TEXTS = 1_000
"""An `Int8Check` of fewer texts says too little: of 1,000, a share of 1 % has a standard error of 0.3 %."""
MOST_CHANGED = 0.01
MOST_LOST = 0.005
"""Largest share of other labels, and largest loss of accuracy, with which `auto` may take int8."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Canary(BaseModel):
    """A text whose answer is known: the bundle is refused if it answers otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    text: str
    label: Literal["negative", "neutral", "positive"]
    probabilities: tuple[Probability, Probability, Probability]
    """Negative, neutral, positive, as computed in float32 where the bundle was made."""

    @model_validator(mode="after")
    def _agrees(self) -> "Canary":
        if self.probabilities[LABELS.index(self.label)] < max(self.probabilities):
            raise ValueError(f"the label {self.label} is not the most probable one")
        return self


class Int8Check(BaseModel):
    """What int8 changes in a bundle's answers, measured by its maker on labelled texts that it was not trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    levels: int = Field(ge=1, le=127)
    """Steps of a rounded input on each side of 0, on the machine that it was measured on."""
    texts: int = Field(ge=1)
    other_label: float = Field(ge=0, le=1)
    """Share of the texts that get another label than in float32."""
    accuracy: float = Field(ge=-1, le=1)
    """Accuracy in int8 less accuracy in float32."""

    def allows(self, levels: int) -> bool:
        """Whether a worker that was asked for no precision may take int8 on a machine with so many levels."""
        return (
            levels >= self.levels
            and self.texts >= FEWEST_TEXTS
            and self.other_label <= MOST_CHANGED
            and self.accuracy >= -MOST_LOST
        )


class Manifest(BaseModel):
    """The parsed bundle.json. Further keys are allowed and belong to the digest like the rest."""

    model_config = ConfigDict(extra="allow", frozen=True)

    format: Literal[1]
    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(min_length=1, max_length=50)
    created_at: str = ""
    normaliser: int
    max_tokens: int = Field(ge=8, le=8_192)
    truncation: Literal["head_tail", "head"] = "head_tail"
    pooling: Literal["cls_pooler"] = "cls_pooler"
    kinds: dict[str, KindHead] = Field(min_length=1)
    """Kind of text (`review`, `title`) to the logit columns that answer for it."""
    canaries: tuple[Canary, ...] = ()
    int8: Int8Check | None = None
    """Without one, int8 must be asked for."""
    evaluation: dict[str, Any] = Field(default_factory=dict)
    card: str = ""
    licence: str = ""
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _complete(self) -> "Manifest":
        if set(self.files) != set(HASHED_FILES):
            raise ValueError(
                f"`files` must hold the SHA-256 of {', '.join(HASHED_FILES)} and of nothing else"
            )
        foreign = {canary.kind for canary in self.canaries} - set(self.kinds)
        if foreign:
            raise ValueError(f"canaries of kinds that are not served: {', '.join(sorted(foreign))}")
        return self
