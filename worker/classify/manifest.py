"""bundle.json: what a bundle says of itself."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.classify.answers import LABELS
from worker.classify.sentiment import KindHead

FORMAT = 1
CONFIG, WEIGHTS, TOKENIZER, MANIFEST = "config.json", "model.safetensors", "tokenizer.json", "bundle.json"
HASHED_FILES = (CONFIG, WEIGHTS, TOKENIZER)
"""The files of a bundle whose content decides its answers, besides bundle.json."""

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
