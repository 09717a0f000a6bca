"""What a model must beat."""

import pytest

from training.baseline import LinearBaseline
from training.data import Row
from worker.errors import UsageError


def test_texts_that_share_nothing_are_refused_as_too_few() -> None:
    with pytest.raises(UsageError, match="no characters in common"):
        LinearBaseline.fit([Row("abc", "positive"), Row("xyz", "negative")])
