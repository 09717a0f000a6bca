"""Is the bundle what it says it is, and does it answer its canaries on this machine?"""

from worker.doctor.finding import Finding, ok
from worker.settings import ModelSettings


def check(settings: ModelSettings) -> list[Finding]:
    """Load the bundle as a worker would: hashes, labels, weights, canaries. Takes seconds.

    Raises ``ModelError`` when it cannot be served.
    """
    from worker.classify.answers import KINDS
    from worker.classify.engine import Engine

    engine = Engine.load(settings)
    engine.require(KINDS)
    bundle = engine.bundle
    path = "packed" if engine.packed else "padded"
    return [
        ok(
            "model",
            f"{engine.model_name} {bundle.manifest.version} ({engine.digest}), {bundle.stored_bytes / 1e6:.1f} MB, "
            f"{engine.precision}, {path}, on {engine.machine}, {len(bundle.manifest.canaries)} canaries answered",
        )
    ]
