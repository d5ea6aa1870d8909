"""The glyphs: every face has all of them, images depend on (seed, index) alone and show what the font says."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ImageFont
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))  # the experiments are no part of the package

from experiments.glyphs import data

FACES = ("DejaVuSans", "cmr10")
STILL = data.Pose(turn=0, shear=0, scale=0, aspect=0, shift=0, stroke=(0, 0))


@pytest.fixture(scope="module")
def source():
    """Images of two faces."""
    return data.Glyphs(FACES, seed=5)


def test_the_classes():
    assert len(set(data.CLASSES)) == 62
    assert set(data.CLASSES) == {c for c in map(chr, range(128)) if c.isalnum()}


@pytest.mark.parametrize("face", data.faces())
def test_every_face_draws_62_different_glyphs_within_the_image(face):
    path = str(data.folder() / f"{face}.ttf")
    masks = [data._drawn(ImageFont.truetype(path, 60), character) for character in data.CLASSES]
    assert len({mask.tobytes() for mask in masks}) == 62
    for mask in masks:
        assert mask.sum() > 50
        assert np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).max() == 0


@pytest.mark.parametrize("face", ["cmsy10", "cmex10", "cmmi10", "LastResortHE-Regular", "STIXNonUni"])
def test_fonts_of_symbols_and_old_figures_are_left_out(face):
    assert (data.folder() / f"{face}.ttf").exists()
    assert face not in data.faces()


def test_one_face_of_every_family_is_held_out():
    families = ("DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "cm")
    assert [face.startswith(family) for face, family in zip(data.HELD_OUT, families, strict=True)] == [True] * 4
    assert {*data.training_faces(), *data.HELD_OUT} == set(data.faces())
    assert len(data.training_faces()) == len(data.faces()) - 4 >= 12


def test_an_image_depends_on_seed_and_index_alone(source):
    many, few = source(0, 40), data.Glyphs(FACES, seed=5)(7, 3)
    assert torch.equal(many.x[7:10], few.x)
    assert torch.equal(many.labels[7:10], few.labels)
    assert torch.equal(source.faces_of(0, 40)[7:10], source.faces_of(7, 3))
    other = data.Glyphs(FACES, seed=6)(0, 40)
    assert not torch.equal(other.labels, many.labels)
    assert len({image.numpy().tobytes() for image in (*many.x, *other.x)}) == 80


def test_images_are_whole_grey_values_with_paper_and_ink(source):
    x = source(0, 200).x
    assert x.shape == (200, 1, 16, 16)
    assert x.dtype == torch.float32
    levels = (x + 1) * 127.5
    assert (levels - levels.round()).abs().max() < 1e-4  # float32
    assert (x.amin(dim=(1, 2, 3)) == -1).all()
    assert (x.amax(dim=(1, 2, 3)) > 0).all()


def test_all_classes_and_faces_occur_equally_often():
    source = data.Glyphs(FACES, size=2)
    counts = source(0, 62 * 25).labels.bincount(minlength=62)
    assert counts.min() > 0
    assert (counts - 25).abs().max() < 5 * 25**0.5  # five standard deviations
    assert abs(float(source.faces_of(0, 900).double().mean()) - 0.5) < 5 * 0.5 / 30


@pytest.mark.parametrize("size", [16, 32])
def test_without_a_pose_an_image_is_the_glyph_that_the_font_draws(size):
    source = data.Glyphs(FACES[:1], size=size, pose=STILL)
    x, labels = source(0, 30)
    path = str(data.folder() / f"{FACES[0]}.ttf")
    top, bottom = ImageFont.truetype(path, 1000).getbbox("H", anchor="ls")[1::2]
    font = ImageFont.truetype(path, 1000 * 0.62 * 96 / (bottom - top))
    for image, label in zip(x, labels, strict=True):
        ink = torch.from_numpy(data._drawn(font, data.CLASSES[label]).astype(np.float32))[None]
        expected = functional.avg_pool2d(ink, 96 // size)
        assert ((image + 1) / 2 - expected).abs().mean() < 0.02  # corners are rounded by half a drawn pixel
        assert ((image + 1) / 2 - expected).abs().max() < 0.35


def test_poses_move_what_they_say():
    """The mean position of the ink moves by the shift, in pixels, and thick strokes have more ink."""
    still = data.Glyphs(FACES[:1], size=32, pose=STILL)(0, 150)
    moved = data.Glyphs(FACES[:1], size=32, pose=data.Pose(turn=0, shear=0, scale=0, aspect=0, stroke=(0, 0)))(0, 150)
    thick = data.Glyphs(
        FACES[:1], size=32, pose=data.Pose(turn=0, shear=0, scale=0, aspect=0, shift=0, stroke=(0.02, 0.02))
    )(0, 150)
    weights = torch.linspace(-0.5, 0.5, 33)[:-1] + 1 / 64  # positions in units of the side

    def centre(x):
        ink = (x[:, 0] + 1) / 2
        return (ink.sum(dim=1) * weights).sum(dim=1) / ink.sum(dim=(1, 2))

    assert float((centre(moved.x) - centre(still.x)).std()) == pytest.approx(0.025, rel=0.2)  # 150 draws: 6 %
    assert ((thick.x + 1).sum(dim=(1, 2, 3)) > 1.1 * (still.x + 1).sum(dim=(1, 2, 3))).all()
