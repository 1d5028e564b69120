"""Samples as the tensors of one training step."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lab.training.lesson import POINTING, Lesson
from lab.training.losses import CoordinatePlaces, LookPlaces
from lab.training.supervision import SupervisedPlaces, supervised_places
from lab.training.views import View, ViewSource
from molmo_point.finetuning.packing import PackedRow, pack_examples, stacked_rows
from molmo_point.finetuning.sample import TrainingExample
from molmo_point.model.inputs.molmo_processor import MolmoProcessor
from molmo_point.model.inputs.preprocess import ImageLayout, fitted_size

_MAX_LENGTH = 420  # tokens of a row, image included
_MIN_CELL_SHARE = 0.12  # of a cell that an object must fill to be what the cell shows


@dataclass(frozen=True)
class Cells:
    """Contents of a grid of cells; every tensor (b, cells, …).

    Attributes:
        classes: (…, read-outs) class in each read-out of the source; the number of classes for an empty cell; `UNKNOWN`
            if it is not known.
        xy: (…, 2) place to point at for the object shown, 0 to 1 of the image.
        outline: (…, 5) the object as seen from the cell, in units of four cells: centroid minus
            the cell's own place (u, v), and the spread of its area (uu, vv, uv).
        filled: True if the cell shows an object.
    """

    classes: torch.Tensor
    xy: torch.Tensor
    outline: torch.Tensor
    filled: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """One step. Image tensors as the model takes them, rows padded on the right."""

    images: torch.Tensor
    image_masks: torch.Tensor
    image_input_idx: torch.Tensor
    patch_cells: Cells
    token_cells: Cells
    input_ids: torch.Tensor
    segments: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    places: CoordinatePlaces
    looks: LookPlaces
    mentions: LookPlaces


def draw_batch(
    source: ViewSource,
    processor: MolmoProcessor,
    places: np.ndarray,
    size: int,
    questions: int,
    rng: np.random.Generator,
    lesson: Lesson = POINTING,
) -> Batch:
    """Draw ``size`` augmented images with up to ``questions`` questions each.

    Args:
        source: Pictures.
        processor: Tokenizer and image layout; the overview alone is supported (``max_crops`` 0).
        places: ``image_input_idx`` (1, tokens) of the overview.
        size: Number of images.
        questions: Largest number of questions about an image.
        rng: Source of all randomness.
        lesson: Subject of the questions.
    """
    views: list[View] = []
    rows: list[PackedRow] = []
    supervised: list[SupervisedPlaces] = []
    while len(views) < size:
        view = lesson.draw(source, rng)
        examples = lesson.ask(view, questions, rng)
        if examples:
            views.append(view)
            row, kept = _packed(processor, examples)
            rows.append(row)
            supervised.append(supervised_places(processor, row, kept))
    layout = processor.layout
    canvases = [_canvas_mask(view.mask, layout) for view in views]
    token_share = [_cell_shares(c, layout.tokens, len(v.objects)) for c, v in zip(canvases, views)]
    patch_share = [_cell_shares(c, layout.patches, len(v.objects)) for c, v in zip(canvases, views)]
    coordinates = _places(supervised, views, token_share)
    empty = np.array(list(source.classes.values()))
    return Batch(
        images=image_tensors([view.color for view in views], layout, rng),
        image_masks=torch.full((size, 1, layout.patches**2), -1.0),
        image_input_idx=torch.from_numpy(places).expand(size, 1, -1),
        patch_cells=_cells(views, patch_share, empty),
        token_cells=_cells(views, token_share, empty),
        **stacked_rows(rows, processor.eos_id),
        places=coordinates,
        looks=_looks(supervised, token_share, coordinates),
        mentions=_joined([_targets_from(k, one.mentions, share) for k, (one, share) in enumerate(zip(supervised, token_share))]),
    )


def _packed(processor: MolmoProcessor, examples: list[TrainingExample]) -> tuple[PackedRow, list[TrainingExample]]:
    """Pack as many of the questions as fit; a long row would pad all others."""
    row = pack_examples(processor, (0, 0), examples)
    while len(row.input_ids) > _MAX_LENGTH and len(examples) > 1:
        examples = examples[:-1]
        row = pack_examples(processor, (0, 0), examples)
    return row, examples


def image_tensors(colors: list[np.ndarray], layout: ImageLayout, rng: np.random.Generator | None) -> torch.Tensor:
    """Return overview crops (n, 1, patches², 3·patch²); ``rng`` varies the colors a little, None does not."""
    side, patch = layout.crop_px, layout.patch_px
    canvas = torch.zeros(len(colors), 3, side, side)
    for k, color in enumerate(colors):
        pixels = torch.from_numpy(color).permute(2, 0, 1)[None].float() / 255
        h, w = fitted_size(*color.shape[:2], side, side)
        top, left = (side - h) // 2, (side - w) // 2
        small = F.interpolate(pixels, size=(h, w), mode="bilinear", antialias=True)[0]
        if rng is not None:
            gain = rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, (3, 1, 1))
            small = small * torch.from_numpy(gain).float() + float(rng.normal(0, 0.02))
            small = small + torch.randn_like(small) * float(rng.uniform(0, 0.02))
        canvas[k, :, top : top + h, left : left + w] = small.clamp(0, 1)
    mean, std = (torch.tensor(v)[:, None, None] for v in (layout.mean, layout.std))
    x = ((canvas - mean) / std).permute(0, 2, 3, 1)
    n = layout.patches
    x = x.reshape(-1, n, patch, n, patch, 3).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, 1, n * n, patch * patch * 3)


def _canvas_mask(mask: np.ndarray, layout: ImageLayout) -> np.ndarray:
    """Return the mask as the crop shows it, (crop, crop) int8, −1 on padding."""
    side = layout.crop_px
    h, w = fitted_size(*mask.shape, side, side)
    v = ((np.arange(h) + 0.5) * mask.shape[0] / h).astype(int)
    u = ((np.arange(w) + 0.5) * mask.shape[1] / w).astype(int)
    canvas = np.full((side, side), -1, np.int8)
    top, left = (side - h) // 2, (side - w) // 2
    canvas[top : top + h, left : left + w] = mask[v[:, None], u[None]]
    return canvas


def _cell_shares(canvas: np.ndarray, side: int, object_count: int) -> np.ndarray:
    """Return the share of each cell that each object fills, (side², objects)."""
    cell = canvas.shape[0] // side
    cells = canvas.reshape(side, cell, side, cell).swapaxes(1, 2).reshape(side * side, -1)
    counts = np.zeros((side * side, max(object_count, 1)), np.float32)
    for index in range(object_count):
        counts[:, index] = (cells == index).mean(-1)
    return counts


def _cells(views: list[View], shares: list[np.ndarray], empty: np.ndarray) -> Cells:
    size, cells = len(views), shares[0].shape[0]
    classes = np.tile(empty, (size, cells, 1))
    xy = np.zeros((size, cells, 2), np.float32)
    outline = np.zeros((size, cells, 5), np.float32)
    filled = np.zeros((size, cells), bool)
    for k, (view, share) in enumerate(zip(views, shares)):
        if not view.objects:
            continue
        main = share.argmax(-1)
        filled[k] = share.max(-1) > _MIN_CELL_SHARE
        classes[k][filled[k]] = view.classes[main[filled[k]]]
        xy[k] = view.xy[main]
        outline[k] = _outlines(share)[np.arange(cells), main]
    return Cells(*(torch.from_numpy(a) for a in (classes, xy, outline, filled)))


def _outlines(share: np.ndarray) -> np.ndarray:
    """Return the outline (cells, objects, 5) of every object as seen from every cell; see `Cells`."""
    side = int(np.sqrt(len(share)))
    v, u = np.divmod(np.arange(len(share)), side)
    place = np.stack([u, v], axis=1).astype(np.float32) / 4
    area = np.maximum(share.sum(0), 1e-6)[:, None]
    center = share.T @ place / area
    moment = [share.T @ (place[:, a] * place[:, b]) / area[:, 0] for a, b in ((0, 0), (1, 1), (0, 1))]
    spread = np.stack(moment, 1) - center[:, [0, 1, 0]] * center[:, [0, 1, 1]]
    offset = center[None] - place[:, None]
    return np.concatenate([offset, np.broadcast_to(spread, (len(share), *spread.shape))], axis=-1)


def _places(supervised: list[SupervisedPlaces], views: list[View], shares: list[np.ndarray]) -> CoordinatePlaces:
    parts: list[list[np.ndarray]] = []
    for k, (one, view, share) in enumerate(zip(supervised, views, shares)):
        if len(one.coordinates) == 0:
            continue
        place, target, _, value, character = one.coordinates.T
        tokens = share.T[target]
        tokens = tokens / np.maximum(tokens.sum(-1, keepdims=True), 1e-9)
        parts.append([np.full(len(place), k), place, value, character, view.xy[target], tokens])
    if not parts:
        tokens_n = shares[0].shape[0]
        none = np.zeros(0, np.int64)
        empty = [none, none, none, none, np.zeros((0, 2)), np.zeros((0, tokens_n))]
        parts = [[np.asarray(a) for a in empty]]
    joined = [torch.from_numpy(np.concatenate(p)) for p in zip(*parts)]
    return CoordinatePlaces(*joined[:4], joined[4].float(), joined[5].float())


def _looks(supervised: list[SupervisedPlaces], shares: list[np.ndarray], coordinates: CoordinatePlaces) -> LookPlaces:
    """Let every character of a coordinate look at its target, and the start of an answer at all of its targets."""
    starts = [_targets_from(k, one.looks, share) for k, (one, share) in enumerate(zip(supervised, shares, strict=True))]
    return _joined([LookPlaces(coordinates.row, coordinates.place, coordinates.tokens), *starts])


def _targets_from(row: int, pairs: np.ndarray, share: np.ndarray) -> LookPlaces:
    """Let each place of ``pairs`` (n, 2) look at all its objects, one as much as the other."""
    places = np.unique(pairs[:, 0])
    tokens = torch.zeros(len(places), len(share))
    for k, place in enumerate(places):
        area = share[:, pairs[pairs[:, 0] == place, 1]]
        tokens[k] = torch.from_numpy((area / np.maximum(area.sum(0), 1e-9)).mean(-1))
    return LookPlaces(torch.full((len(places),), row), torch.from_numpy(places), tokens)


def _joined(parts: list[LookPlaces]) -> LookPlaces:
    rows, places, tokens = zip(*((part.row, part.place, part.tokens) for part in parts))
    return LookPlaces(torch.cat(rows), torch.cat(places), torch.cat(tokens))
