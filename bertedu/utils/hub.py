"""The Hugging Face hub: a checkpoint's files, downloaded once and verified, and data sets."""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bertedu.errors import CheckpointError, InputError
from bertedu.utils.files import WEIGHT_FILES, weight_files

HUB = "hub:"
HUB_FILES = (
    "config.json",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
)
SECONDS_TO_ANSWER = 10
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATA_SET = re.compile(r"hub:([^:]+)(?:(?::([^:[]+))?:([^:[]+(?:\[[^]]*\])?))?")


class DataSetName(NamedTuple):
    """What a data set is called on the hub, and which part of it is meant."""

    name: str
    config: str | None
    split: str


def parse_data_set(text: str) -> DataSetName:
    """Returns the parts of `hub:NAME[:CONFIG][:SPLIT]`; the split is else "train".

    Raises:
        InputError: it is not of this form.

    Example:
        >>> parse_data_set("hub:glue:sst2:validation")
        DataSetName(name='glue', config='sst2', split='validation')
        >>> parse_data_set("hub:stanfordnlp/imdb:test[:10%]")
        DataSetName(name='stanfordnlp/imdb', config=None, split='test[:10%]')
        >>> parse_data_set("hub:snli").split
        'train'
    """
    found = _DATA_SET.fullmatch(text)
    if found is None:
        raise InputError(f"{text} names no data set: write hub:NAME:SPLIT or hub:NAME:CONFIG:SPLIT")
    name, config, split = found.groups()
    return DataSetName(name, config, split or "train")


@contextlib.contextmanager
def data_set(text: str, *, streaming: bool = False) -> Iterator[Any]:
    """Gives a data set of the hub; what goes wrong while it is read becomes one sentence.

    Args:
        text: as in `parse_data_set`.
        streaming: row by row from the network, for what is larger than the disk.

    Raises:
        InputError: the package `datasets` is missing, or there is no such data set.
    """
    name, config, split = parse_data_set(text)
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{text} needs the package `datasets`: pip install bertedu[data], or give a file"
        ) from None
    options = {"streaming": True} if streaming else {}
    try:
        yield datasets.load_dataset(name, *filter(None, [config]), split=split, **options)
    except InputError:
        raise
    except Exception as error:  # `datasets` has many: no network, no such name, a script, ...
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{text} cannot be read ({reason}): check the name, the split and the network, or give "
            "a file"
        ) from error


def download(repo_id: str) -> Path:
    """Returns the local folder of a hub repository, downloading what is not there yet.

    Only config, tokenizer and the weights are fetched (safetensors where there are such).
    Without network, what an earlier call downloaded is used.

    Args:
        repo_id: such as "bert-base-uncased".

    Raises:
        CheckpointError: no network, no such repository, one that asks for a licence to be
            accepted first, or a file that arrived damaged.

    Source: huggingface_hub's own client does the work.
    """
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
    )

    try:
        info = HfApi().model_info(repo_id, timeout=SECONDS_TO_ANSWER)
        present = {entry.rfilename for entry in info.siblings or []}
        weights = next((file for file in WEIGHT_FILES if file in present), None)
        if weights is None:
            raise CheckpointError(f"{repo_id} on the hub has no {' or '.join(WEIGHT_FILES[::2])}")
        wanted = [*(file for file in HUB_FILES if file in present), weights]
        # Asked for by branch, the first file also notes the commit, for when there is no network.
        folder = Path(hf_hub_download(repo_id, wanted[0])).parent
        paths = [Path(hf_hub_download(repo_id, file, revision=folder.name)) for file in wanted]
        if weights.endswith(".json"):
            names = [path.name for path in weight_files(folder)]
            paths += [Path(hf_hub_download(repo_id, n, revision=folder.name)) for n in names]
    except GatedRepoError as error:
        raise CheckpointError(
            f"{repo_id} asks its readers to accept terms: accept them on its page, then run "
            "`hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(
            f"the hub has no model {repo_id!r}, or it is private: check the spelling"
        ) from error
    except HFValidationError as error:
        raise CheckpointError(
            f"there is no folder {repo_id!r}, and the hub has no such names: check the spelling"
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # every kind of network and disk trouble arrives here
        cached = try_to_load_from_cache(repo_id, "config.json")
        if isinstance(cached, str) and _complete(Path(cached).parent):
            return Path(cached).parent
        raise CheckpointError(
            f"{repo_id} could not be had from the hub ({type(error).__name__}): check the "
            'network and try again, or use what needs none: bertedu.load("bertedu"), or a '
            "folder that holds the model"
        ) from error
    for path in paths:
        verify(path)
    return folder


def verify(path: Path) -> None:
    """Deletes a downloaded file whose content is not what the hub announced.

    The cache names large files by their sha256; small ones carry no checksum.

    Raises:
        CheckpointError: the checksums differ.
    """
    blob = path.resolve()
    if not _SHA256.fullmatch(blob.name):
        return
    with blob.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != blob.name:
        path.unlink()
        blob.unlink()
        raise CheckpointError(
            f"{path.name} arrived damaged (sha256 {found[:12]}... instead of "
            f"{blob.name[:12]}...) and was deleted: run the same call again"
        )


def _complete(folder: Path) -> bool:
    return all(file.is_file() for file in weight_files(folder) or [folder / WEIGHT_FILES[0]])
