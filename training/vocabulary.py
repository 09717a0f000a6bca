"""A checkpoint with fewer word pieces: most weights of a multilingual one are embeddings of languages nobody writes."""

from collections.abc import Iterable
from pathlib import Path

from transformers import BertModel

from training import model as models
from training.model import Columns
from training.pretrained import read_pretrained
from training.runs import copy_max_tokens
from worker.classify.normalise import normalise


def prune_folder(base: str, texts: Iterable[str], pieces: int, out: Path) -> tuple[int, int]:
    """Write the checkpoint ``base`` (a folder, a run's too, or a hub name) to ``out`` with the ``pieces`` that ``texts`` use
    most.

    A trained model keeps its head, and answers a text whose pieces all stay as before. Returns the numbers of pieces before and
    after. Blocks for the tokenisation of all texts.

    :raises UsageError: there is no such checkpoint, or its vocabulary is not of the kind that can be cut.
    """
    folder = models.base_files(str(models.trained_folder(Path(base))) if Path(base).is_dir() else base)
    tokenizer = models.load_tokenizer(folder)
    kept = models.choose_pieces(tokenizer, (normalise(text).text for text in texts), pieces)
    cut = models.prune_tokenizer(tokenizer, kept)
    if labels := models.labels_in(folder):
        model, _, _ = models.load(folder)
        models.prune_embeddings(model, kept)
        models.save(model, cut, Columns(labels), out)
        copy_max_tokens(folder, out)
    else:
        encoder = read_pretrained(BertModel, folder, named=base, drawn=("pooler.",))
        models.prune_embeddings(encoder, kept)
        out.mkdir(parents=True, exist_ok=True)
        encoder.config.save_pretrained(out)
        models.write_weights(out / models.WEIGHTS, encoder.state_dict())
        cut.save(str(out / "tokenizer.json"))
    return tokenizer.get_vocab_size(), len(kept)
