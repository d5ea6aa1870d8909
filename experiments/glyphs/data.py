r"""Letters and digits in the faces that matplotlib ships, in random pose: 62 classes, no end of images, no download.

A face is used if its character map names the 62 glyphs 0-9, A-Z, a-z as PostScript does ("zero", "A", "a"): symbol
fonts, old-style figures and the boxes of a last-resort font drop out by that. Four faces, one of each family, are held
out entirely; a split by face is harder than one by pose, which a network could pass by knowing the outlines.

A glyph is drawn once, with the capital H of every face at the same height, and kept as its signed distance d(u) to
the outline (positive in the ink, in units of the image's side). An image is the coverage of its pixels by

    { u : d(A^-1 (u - shift)) + stroke > 0 },

A a random rotation, shear and scaling, `stroke` a random thickening; the coverage is the mean over 3x3 points of each
pixel, each a linear ramp as wide as their distance. Grey values are whole 255ths, from -1 (paper) to 1 (ink).

Image i of a seed is a function of (seed, i) alone: its random numbers are those of the Philox generator with that key.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

CLASSES = string.digits + string.ascii_uppercase + string.ascii_lowercase
HELD_OUT = ("DejaVuSansMono-Oblique", "DejaVuSerif-Italic", "STIXGeneralBol", "cmss10")

DESCRIPTION = f"glyphs of {len(CLASSES)} classes in the faces of matplotlib but {', '.join(HELD_OUT)}, random pose"

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_CELL = 96  # pixels a side at which a glyph is drawn, twice those at which its distances are kept
_CAP, _BASELINE, _WIDEST = 0.62, 0.73, 0.9  # of the side: height of H, the line that letters stand on, widest glyph
_POINTS = 3  # points per pixel and direction


class Split(NamedTuple):
    """Images of shape (n, 1, size, size), float32 in [-1, 1], and their classes, indices into `CLASSES`."""

    x: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Spread of the random poses: standard deviations, and the range of the thickening.

    Parameters
    ----------
    turn, shear
        In radians, and as a slope.
    scale, aspect
        Of the logarithms of the size and of the ratio of width to height.
    shift
        In units of the image's side.
    stroke
        Least and greatest distance by which outlines move outwards, in units of the image's side.
    """

    turn: float = 0.08
    shear: float = 0.08
    scale: float = 0.06
    aspect: float = 0.05
    shift: float = 0.025
    stroke: tuple[float, float] = (-0.002, 0.016)


def folder() -> Path:
    """Return the folder of the TrueType faces that matplotlib ships."""
    return Path(mpl.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=1)
def faces() -> tuple[str, ...]:
    """Return the names of the faces that have all 62 glyphs as text, in alphabetical order."""
    return tuple(sorted(path.stem for path in folder().glob("*.ttf") if _is_text(path)))


def training_faces() -> tuple[str, ...]:
    """Return the faces that are not held out."""
    return tuple(face for face in faces() if face not in HELD_OUT)


def _is_text(path: Path) -> bool:
    font, wanted = FT2Font(str(path)), dict(zip(CLASSES, (*_DIGITS, *CLASSES[10:]), strict=True))
    characters = font.get_charmap()
    return all(ord(c) in characters and font.get_glyph_name(characters[ord(c)]) == n for c, n in wanted.items())


@lru_cache(maxsize=64)
def distances(face: str) -> Tensor:
    """Return the signed distances to the outlines of a face's 62 glyphs, shape (62, 48, 48)."""
    path = str(folder() / f"{face}.ttf")
    top, bottom = ImageFont.truetype(path, 1000).getbbox("H", anchor="ls")[1::2]
    font = ImageFont.truetype(path, 1000 * _CAP * _CELL / (bottom - top))
    return torch.stack([_distance(_drawn(font, character)) for character in CLASSES])


def _drawn(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray:
    """Return where the ink of a glyph is, a mask of shape (96, 96); the glyph is centred, wide ones are condensed."""
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    glyph = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(glyph).text((1 - left, 1 - top), character, fill=255, font=font, anchor="ls")
    if glyph.width > _WIDEST * _CELL:
        glyph = glyph.resize((round(_WIDEST * _CELL), glyph.height))
    cell = Image.new("L", (_CELL, _CELL))
    cell.paste(glyph, ((_CELL - glyph.width) // 2, round(_BASELINE * _CELL + top) - 1))
    return np.asarray(cell) > 127


def _distance(ink: np.ndarray) -> Tensor:
    inside = distance_transform_edt(ink) - distance_transform_edt(~ink)
    signed = torch.from_numpy(inside - 0.5 * np.sign(inside)) / _CELL  # from the pixel's edge, not from the next centre
    return functional.avg_pool2d(signed[None], 2)[0].float()


class Glyphs:
    """Random images of glyphs, the same for the same seed and indices.

    Parameters
    ----------
    faces
        Names of faces.
    size
        Pixels a side.
    seed
        Which sequence of images; an integer >= 0.
    pose
        How much they are turned, sheared, scaled, shifted and thickened.
    device
        Where images are computed; the random numbers are the same everywhere.
    """

    def __init__(
        self, faces: Sequence[str], *, size: int = 16, seed: int = 0, pose: Pose | None = None, device: str = "cpu"
    ) -> None:
        self.faces, self.size, self.seed, self.pose = tuple(faces), size, seed, Pose() if pose is None else pose
        self.device = torch.device(device)
        self._distances = torch.stack([distances(face) for face in self.faces]).to(self.device)

    def __call__(self, start: int, n: int) -> Split:
        """Return images `start` to `start + n - 1`."""
        drawn = [self._numbers(i) for i in range(start, start + n)]
        which = torch.tensor([numbers[0] for numbers in drawn], device=self.device)
        normals = torch.tensor(np.array([numbers[1] for numbers in drawn]))
        coverage = self._coverage(which[:, 0], which[:, 1], normals.to(self.device))
        return Split((coverage * 255).round() / 127.5 - 1, which[:, 1])

    def faces_of(self, start: int, n: int) -> Tensor:
        """Return the faces of the same images, indices into `faces`, shape (n,)."""
        return torch.tensor([self._numbers(i)[0][0] for i in range(start, start + n)])

    def _numbers(self, index: int) -> tuple[list[int], np.ndarray]:
        random = np.random.Generator(np.random.Philox(key=np.array([self.seed, index], dtype=np.uint64)))
        which = random.integers([len(self.faces), len(CLASSES)]).tolist()
        return which, np.append(np.clip(random.standard_normal(6), -2.5, 2.5), random.random())

    def _coverage(self, face: Tensor, label: Tensor, normals: Tensor) -> Tensor:
        """Return the share of ink of every pixel, shape (n, 1, size, size)."""
        pose, points = self.pose, _POINTS * self.size
        turn, shear = pose.turn * normals[:, 0], pose.shear * normals[:, 1]
        width = (-pose.scale * normals[:, 2] - pose.aspect / 2 * normals[:, 3]).exp()  # grids map images to glyphs
        height = (-pose.scale * normals[:, 2] + pose.aspect / 2 * normals[:, 3]).exp()
        shift = 2 * pose.shift * normals[:, 4:6]  # the image is [-1, 1]^2
        rows = [width * turn.cos(), width * (shear - turn.sin()), shift[:, 0]]
        rows += [height * turn.sin(), height * turn.cos(), shift[:, 1]]
        maps = torch.stack(rows, dim=-1).reshape(-1, 2, 3).float()
        grid = functional.affine_grid(maps, [len(maps), 1, points, points], align_corners=False)
        distance = functional.grid_sample(
            self._distances[face, label][:, None], grid, padding_mode="border", align_corners=False
        )
        least, greatest = pose.stroke
        stroke = (least + (greatest - least) * normals[:, 6]).float()[:, None, None, None]
        return functional.avg_pool2d((0.5 + (distance + stroke) * points).clamp(0, 1), _POINTS)
