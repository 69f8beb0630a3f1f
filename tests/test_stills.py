"""The reduced pictures: few colours, and yet those of the scales."""

from io import BytesIO

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from bertedu.classroom.stills import reduced
from bertedu.widgets.palette import LIGHT, SCALES


def test_a_still_keeps_the_colours_of_scales_and_segments() -> None:
    """A scale, small on a page of other things, keeps each of its colours."""
    rng = np.random.default_rng(0)
    page = np.full((600, 900, 3), 255, np.uint8)
    page[100:500] = (255 * (1 - rng.random((400, 900, 1)) ** 3)).astype(np.uint8)  # much grey text
    page[520:560, :300] = [round(255 * part) for part in to_rgb(LIGHT["segment-a"])]
    for row, stops in enumerate((SCALES["sequential"], SCALES["diverging"])):
        colors = np.array([to_rgb(stop) for stop in stops])
        at = np.linspace(0, len(stops) - 1, 84)
        scale = np.stack([np.interp(at, range(len(stops)), part) for part in colors.T], -1)
        page[20 + 30 * row : 31 + 30 * row, 20:104] = (255 * scale).round()
    file = BytesIO()
    Image.fromarray(page).save(file, "PNG")
    few = np.asarray(Image.open(BytesIO(reduced(file.getvalue()))).convert("RGB"), int)
    assert np.abs(few - page).max() <= 24
    assert len(np.unique(few.reshape(-1, 3), axis=0)) <= 128
