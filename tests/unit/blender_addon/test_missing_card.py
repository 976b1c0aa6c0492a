from __future__ import annotations

import numpy as np
import pytest

from blender_addon.core.missing_card import missing_card


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (160, 120), (300, 40)])
def test_the_card_is_striped_opaque_and_holds_the_words(width: int, height: int) -> None:
    card = missing_card(width, height)
    assert card.shape == (height, width, 4) and card.dtype == np.float32 and (card[..., 3] == 1).all()
    colours = np.unique(card.reshape(-1, 4), axis=0)
    assert len(colours) == 4, "two stripes, the plate, the words"
    white = (card[..., :3] == 1).all(-1)
    rows, columns = np.nonzero(white)
    assert columns.max() - columns.min() > 0.25 * width, "the words can be read"
    assert abs((columns.max() + columns.min()) / 2 - width / 2) < 0.1 * width
    gaps = np.diff(np.flatnonzero(~white.any(0)[columns.min() : columns.max()]))
    assert (gaps > 1).sum() == 11, "letters between the first and the last"
    assert rows.max() - rows.min() < 0.6 * height


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20, 300), (64, 3)])
def test_small_pictures_have_the_stripes(width: int, height: int) -> None:
    card = missing_card(width, height)
    assert card.shape == (height, width, 4) and (card[..., 3] == 1).all() and card[..., :3].max() > 0.5
