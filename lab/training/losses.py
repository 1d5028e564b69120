"""Losses of the embedded models: next tokens, and auxiliary losses that start the training off.

From scratch, digits stay at chance for long: nothing tells the decoder which image token matters
nor the image tokens which object they show. Four auxiliary losses do: class and centroid of the
object at every image token, one attention head's mass on the target's tokens, and the target's
position from the answer states. None of them adds a parameter to the model that is shipped.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from molmo_point.model.architecture.config import MolmoConfig

_CHARACTERS = '0123456789."'
SOFT_SIGMA_TENTHS = 4.0
_FARTHEST_PERCENT = 10.0
_FIRST_TOKEN_WEIGHT = 8.0


def soft_coordinate_table(sigma_tenths: float = SOFT_SIGMA_TENTHS) -> np.ndarray:
    """Return next-character distributions of a coordinate whose value is uncertain.

    Args:
        sigma_tenths: Standard deviation of the value, tenths of a percent.

    Returns:
        (1001, 5, 12) float32: for a true value (tenths of a percent) and a character index, the
        probability of each of ``0…9 . "`` given that the true characters came before it.
    """
    strings = [f"{v / 10:.1f}" for v in range(1001)]
    table = np.zeros((1001, 5, len(_CHARACTERS)), np.float32)
    reach = int(4 * sigma_tenths)
    for value, text in enumerate(strings):
        near = range(max(0, value - reach), min(1000, value + reach) + 1)
        weight = {w: np.exp(-0.5 * ((w - value) / sigma_tenths) ** 2) for w in near}
        for place in range(len(text)):
            for w in near:
                other = strings[w]
                if other[:place] == text[:place] and place < len(other):
                    table[value, place, _CHARACTERS.index(other[place])] += weight[w]
        table[value] /= np.maximum(table[value].sum(-1, keepdims=True), 1e-9)
    return table


def digit_distance_table() -> np.ndarray:
    """Return the distance between a coordinate and the values that a next character leaves possible.

    Returns:
        (1001, 5, 12) float32: for a true value (tenths of a percent) and a character index, the distance in percent, at most
        10, from the value to the interval that each digit stands for, given the true characters before it. It is 0 for tenths
        and for characters that are no digits.
    """
    table = np.zeros((1001, 5, len(_CHARACTERS)), np.float32)
    digits = np.arange(10)
    for value in range(1000):
        whole = f"{value / 10:.1f}"[:-2]
        for place in range(len(whole)):
            unit = 10.0 ** (len(whole) - 1 - place)
            low = float(whole[:place] or 0) * 10 * unit + digits * unit
            outside = np.maximum(low - value / 10, value / 10 - (low + unit))
            table[value, place, :10] = np.clip(outside, 0.0, _FARTHEST_PERCENT)
    return table


@dataclass(frozen=True)
class CoordinatePlaces:
    """The places of a batch that predict characters of coordinates; every array (m,).

    Attributes:
        row: Row in the batch.
        place: Place in the sequence.
        value: Coordinate, tenths of a percent.
        character: Character index in the coordinate.
        xy: (m, 2) the target's position, 0…1 of the image.
        tokens: (m, image tokens) share of the target's pixels in every image token; sums to 1.
    """

    row: torch.Tensor
    place: torch.Tensor
    value: torch.Tensor
    character: torch.Tensor
    xy: torch.Tensor
    tokens: torch.Tensor


@dataclass(frozen=True)
class LookPlaces:
    """The places of a batch that must look at an object; every array (m,).

    Attributes:
        row: Row in the batch.
        place: Place in the sequence.
        tokens: (m, image tokens) target of the look; sums to 1.
    """

    row: torch.Tensor
    place: torch.Tensor
    tokens: torch.Tensor


class SoftTokenLoss(nn.Module):
    """Cross-entropy on the answer, with soft targets on the characters of coordinates.

    Args:
        character_ids: Tokens of the digits, the point and the quotation mark.
        coordinate_weight: Weight of a character of a coordinate among the tokens of an answer.
        distance_weight: Weight of the expected distance of tens and ones from the coordinate, per percent.
    """

    def __init__(self, character_ids: dict[str, int], coordinate_weight: float = 1.0, distance_weight: float = 0.0) -> None:
        super().__init__()
        self.coordinate_weight, self.distance_weight = coordinate_weight, distance_weight
        self.table = torch.from_numpy(soft_coordinate_table())
        self.distance = torch.from_numpy(digit_distance_table())
        self.ids = torch.tensor([character_ids[c] for c in _CHARACTERS])

    def forward(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
        places: CoordinatePlaces,
    ) -> torch.Tensor:
        """Return the weighted mean loss; ``logits`` (b, n, v), ``labels`` and ``weights`` (b, n)."""
        chosen = weights > 0
        # The first token of an answer decides between points, a count and "none"; among the thirty
        # that follow it would hardly be heard.
        first = chosen.clone()
        first[:, 1:] &= ~chosen[:, :-1]
        weights = torch.where(first, _FIRST_TOKEN_WEIGHT * weights, weights)
        log_p = F.log_softmax(logits[chosen].float(), dim=-1)
        hard = -log_p.gather(1, labels[chosen][:, None])[:, 0]
        index = torch.full(labels.shape, -1, dtype=torch.long)
        index[chosen] = torch.arange(int(chosen.sum()))
        at = index[places.row, places.place]
        soft_target = self.table[places.value, places.character]
        of_characters = log_p[at][:, self.ids]
        soft = -(soft_target * of_characters).sum(-1)
        if self.distance_weight:
            away = self.distance[places.value, places.character]
            soft = soft + self.distance_weight * (away * of_characters.exp()).sum(-1)
        loss, weight = hard.index_put((at,), soft), weights[chosen]
        weight = weight.index_put((at,), self.coordinate_weight * weight[at])
        return (loss * weight).sum() / weight.sum()


class AuxiliaryHeads(nn.Module):
    """Linear read-outs used in training only.

    Args:
        config: The model's configuration.
        attention_layers: Decoder layers whose first head is taught to look at the target; the second head of the
            layer before them is taught to look from words of the question at what they name.
        classes: What is read out of every cell (``"color"``, ``"noun"``, …), and how many classes each has;
            "nothing" is one more.
    """

    def __init__(self, config: MolmoConfig, attention_layers: tuple[int, ...], classes: dict[str, int]) -> None:
        super().__init__()
        self.attention_layers = attention_layers
        # What is named must be found before the answer that turns on it.
        self.mention_layer = attention_layers[0] - 1
        self._sizes = [count + 1 for count in classes.values()]
        vision_width = config.vision_config.hidden_size  # type: ignore[union-attr]
        self.patch = nn.Linear(2 * vision_width, sum(self._sizes))
        self.outline = nn.Linear(2 * vision_width, 5)
        self.token = nn.Linear(config.hidden_size, sum(self._sizes))
        # Per axis: position 0…1, tens digit (11), ones digit (10).
        self.position = nn.Linear(config.hidden_size, 2 * (1 + 11 + 10))
        self.answer = nn.Linear(config.hidden_size, 2)

    def class_loss(self, scores: torch.Tensor, classes: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        """Return the loss of the class of the object at each cell, summed over the read-outs.

        Args:
            scores: (b, cells, all classes), read-outs one after another.
            classes: (b, cells, read-outs), see `batches.Cells`.
            filled: (b, cells) bool.
        """
        # Most cells are empty table; without weights they would drown the objects.
        weight = torch.where(filled, 1.0, 0.25).flatten()
        total = scores.new_zeros(())
        for index, part in enumerate(scores.split(self._sizes, dim=-1)):
            target = classes[..., index].flatten()
            loss = F.cross_entropy(part.flatten(0, -2), target, reduction="none")
            total = total + (loss * weight).sum() / (weight * (target >= 0)).sum().clamp(min=1.0)
        return total

    def right(self, vectors: torch.Tensor, classes: torch.Tensor, filled: torch.Tensor) -> list[float]:
        """Return the share of filled image tokens with the right class, for each read-out; NaN without any."""
        shares = []
        for index, part in enumerate(self.token(vectors).split(self._sizes, dim=-1)):
            known = filled & (classes[..., index] >= 0)
            shares.append(round(float((part.argmax(-1) == classes[..., index])[known].float().mean()), 3))
        return shares

    def outline_loss(self, features: torch.Tensor, outline: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        """Return the loss of the object's middle as seen from each of its patches, and of its spread.

        Args:
            features: (b, patches, 2·width) patch features.
            outline: (b, patches, 5), see `batches.Cells`.
            filled: (b, patches) bool.
        """
        if not filled.any():
            return self.outline(features[filled]).sum() * 0.0  # a gradient of zero, not none
        return F.smooth_l1_loss(self.outline(features[filled]), outline[filled], beta=0.05) * 10

    def position_loss(self, vectors: torch.Tensor, xy: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        """Return the loss of the centroid of the object at each filled cell, as a number and as digits.

        Args:
            vectors: (b, tokens, hidden) image vectors.
            xy: (b, tokens, 2) centroid, 0…1.
            filled: (b, tokens) bool.
        """
        if not filled.any():
            return self.position(vectors[filled]).sum() * 0.0
        out = self.position(vectors[filled]).unflatten(-1, (2, -1))
        truth = xy[filled]
        loss = F.smooth_l1_loss(out[..., 0], truth, beta=0.02) * 10
        tens, ones = soft_digits(truth)
        loss = loss - (tens * F.log_softmax(out[..., 1:12], -1)).sum(-1).mean()
        return loss - (ones * F.log_softmax(out[..., 12:], -1)).sum(-1).mean()

    def answer_loss(self, hidden: torch.Tensor, places: CoordinatePlaces) -> torch.Tensor:
        """Return the loss of the target's position, read from the states that answer with it."""
        states = hidden[places.row, places.place]
        if len(states) == 0:
            return self.answer(states).sum() * 0.0
        return F.smooth_l1_loss(self.answer(states), places.xy, beta=0.02) * 10


def soft_digits(xy: torch.Tensor, sigma: float = 0.006) -> tuple[torch.Tensor, torch.Tensor]:
    """Return soft tens (…, 11) and ones (…, 10) digits of 100·xy for positions 0…1."""
    whole = torch.arange(101)
    weight = torch.exp(-0.5 * ((xy[..., None] - (whole + 0.5) / 100) / sigma) ** 2)
    weight = weight / weight.sum(-1, keepdim=True).clamp(min=1e-9)
    tens = weight @ F.one_hot(whole // 10, 11).float()
    ones = weight @ F.one_hot(whole % 10, 10).float()
    return tens, ones


def attention_loss(
    queries: torch.Tensor, keys: torch.Tensor, allowed: torch.Tensor, places: LookPlaces,
    image_places: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Return the cross-entropy of one head's attention against the target's image tokens.

    Args:
        queries: (b, n, d) of the head, rotated.
        keys: (b, n, d) of the head, rotated.
        allowed: (b, 1, n, n) bool.
        places: Places to look from, and their targets.
        image_places: (tokens,) place of each image token in the sequence.
    """
    if len(places.row) == 0:
        return queries.sum() * 0.0 + keys.sum() * 0.0
    # All pairs of one head are cheaper than gathering the keys of every supervised place.
    pairs = queries @ keys.transpose(1, 2) / np.sqrt(queries.shape[-1])
    scores = pairs[places.row, places.place]
    scores = scores.masked_fill(~allowed[places.row, 0, places.place], -torch.inf)
    log_p = F.log_softmax(scores, dim=-1)[:, image_places]
    return -(places.tokens * log_p).sum(-1).mean()
