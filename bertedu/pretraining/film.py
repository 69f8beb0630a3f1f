"""The film: ten checkpoints of one small pretraining run, stored so that they fit into 8 MB.

They lie in bertedu/film: a file for each, its matrices in int8 with a scale for each row, beside
one config, one vocabulary, and film.json:

    {"about": "...",             which model it is, in a sentence
     "moments": [{"steps": 0,    behind it
                  "tokens": 0,   read so far, padding not counted
                  "mlm_loss": 8.3, "mlm_accuracy": 0.0,     on held-out text, see `Evaluation`
                  "nsp_loss": 0.7, "nsp_accuracy": 0.5}, ...],
     "unigram_loss": 6.3,        of one who knows only how often each token occurs
     "curve": [[32000, 7.9], ...]}    tokens read, and the loss of masked words in training there

`benchmarks/film.py` makes all of it, from the text on; SHA256 has the checksum of each file of
weights, as `sha256sum *.safetensors` prints it: by this the doctor knows them.
"""

from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from bertedu.bert import Bert
from bertedu.checkpoint import load_into
from bertedu.config import BertConfig
from bertedu.errors import CheckpointError
from bertedu.heads import BertForPreTraining
from bertedu.tokenizer import BertTokenizer
from bertedu.utils.files import read_json

FILM = Path(__file__).parents[1] / "film"
"""The folder of the film that comes with the course."""
_CURE = "`git restore bertedu/film`, or install bertedu again"

STORY, SUMS = "film.json", "SHA256"
SCALE = ".scale"


class Moment(NamedTuple):
    """How far the run was when a checkpoint was kept, and how it did on held-out text then."""

    steps: int
    tokens: int
    mlm_loss: float
    mlm_accuracy: float
    nsp_loss: float
    nsp_accuracy: float


class Film:
    """The checkpoints of one run; each is read when it is first asked for, and then stays.

    Args:
        folder: laid out as above; None means the one that comes with the course.

    Attributes:
        moments: one for each checkpoint, the first one first.
        curve: tokens read, and the loss of masked words there.
        unigram_loss: of one who knows only how often each token occurs.
        about: which model it is, in a sentence.
        tokenizer: the one of all checkpoints.

    Raises:
        CheckpointError: there is no film in the folder, or a file of it is damaged.

    Example:
        >>> film = Film()
        >>> len(film), film.moments[0].tokens, film.moments[-1].steps
        (10, 0, 2000)
        >>> film[9].fill_mask("i do not [MASK] how to swim.")[0][0].token
        'know'
    """

    def __init__(self, folder: str | PathLike[str] | None = None) -> None:
        self.folder = FILM if folder is None else Path(folder)
        if not (self.folder / STORY).is_file():
            raise CheckpointError(f"{self.folder} has no {STORY}: {_CURE}")
        story = read_json(self.folder / STORY)
        try:
            self.moments = [Moment(**moment) for moment in story["moments"]]
            self.curve: list[list[float]] = story["curve"]
            self.unigram_loss: float = story["unigram_loss"]
            self.about: str = story["about"]
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{self.folder / STORY} is not a film's: {error}") from error
        self._read: dict[int, Bert] = {}

    def __len__(self) -> int:
        """Gives the number of checkpoints."""
        return len(self.moments)

    def __getitem__(self, place: int) -> Bert:
        """Gives the checkpoint at a place, from 0 on."""
        place = range(len(self))[place]
        if place not in self._read:
            self._read[place] = self._opened(self.moments[place].steps)
        return self._read[place]

    @cached_property
    def tokenizer(self) -> BertTokenizer:
        """The tokenizer of all checkpoints."""
        return BertTokenizer.from_folder(self.folder)

    @cached_property
    def config(self) -> BertConfig:
        """The sizes of all checkpoints."""
        return BertConfig.from_dict(read_json(self.folder / "config.json"))

    def _opened(self, steps: int) -> Bert:
        from safetensors.torch import load_file

        file = self.folder / frame_file(steps)
        try:
            stored = load_file(file)
        except Exception as error:  # a damaged file breaks in ways of its own
            raise CheckpointError(f"{file} is missing or damaged: {_CURE}") from error
        with torch.random.fork_rng(devices=[]):  # a new model draws weights, which go at once
            model = BertForPreTraining(self.config)
        load_into(model, unpacked(stored), source=file)
        return Bert(model, self.tokenizer)


def frame_file(steps: int) -> str:
    """Returns the name of a checkpoint's file.

    Example:
        >>> frame_file(16)
        'step-0000016.safetensors'
    """
    return f"step-{steps:07}.safetensors"


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns stored weights as float32.

    Example:
        >>> rows = torch.tensor([[4, -2]], dtype=torch.int8)
        >>> unpacked({"a": rows, "a.scale": torch.tensor([0.5])})["a"].tolist()
        [[2.0, -1.0]]
    """
    return {
        name: weight.float() * stored[name + SCALE][:, None]
        if name + SCALE in stored
        else weight.float()
        for name, weight in stored.items()
        if not name.endswith(SCALE)
    }
