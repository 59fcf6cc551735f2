"""What publishing does to an aligned face, as a differentiable function: noise learnt through it survives it.

A published photo shows the face at some size, compressed, and its trainer finds and aligns it anew, a little off. Here a
crop of S x S pixels is scaled to a face of random size (one for the batch), compressed as JPEG with a quality of each
photo's own (4:2:0 chroma; kornia), and cut out again through a similarity that misses the true one a little, bilinear
without smoothing, as recognizers do it. A trainer may also turn photos gray: how much of the noise that undoes, and what
learning through gray pictures costs, is in docs/adr/0008.

B batch, S crop size; pixels float32 in [0, 1]. The expectation over such draws follows Athalye et al. 2018.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 16  # pixels: JPEG with 4:2:0 chroma works on squares of this side


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The ranges that are drawn from: sizes of the face over S, qualities, and how far the new alignment misses.

    ``shift`` in pixels of the crop, ``turn`` in degrees and ``zoom`` as a share are the largest, drawn uniformly. A
    share ``compressed`` of the batches is compressed at all, and a share ``gray`` of the photos is gray.
    """

    scale: tuple[float, float] = (0.7, 1.5)
    quality: tuple[float, float] = (60.0, 95.0)
    compressed: float = 0.7
    shift: float = 1.0
    turn: float = 3.0
    zoom: float = 0.05
    gray: float = 0.0

    def __call__(self, pixels: Tensor) -> Tensor:
        """B x 3 x S x S to the same shape, in fp32 throughout: in bf16 a face would be cut out a sixth of a pixel off.

        Draws from the global generator, so seed it around the call.
        """
        with torch.autocast(pixels.device.type, enabled=False):
            return self._published(pixels.float())

    def _published(self, pixels: Tensor) -> Tensor:
        from kornia.enhance import jpeg_codec_differentiable

        size = pixels.shape[-1]
        placed = F.interpolate(
            self._without_colour(pixels), size=self._draw_side(size), mode="bicubic", antialias=True
        ).clamp(0, 1)
        if float(torch.rand(())) < self.compressed:
            low, high = self.quality
            quality = low + (high - low) * torch.rand(len(pixels))  # on the CPU, for kornia asks for its ends
            placed = jpeg_codec_differentiable(placed.contiguous(), quality).clamp(0, 1)
        grid = F.affine_grid(self._draw_misses(pixels, size), [len(pixels), 3, size, size], align_corners=False)
        aligned = F.grid_sample(placed, grid, padding_mode="border", align_corners=False)
        return aligned.contiguous(memory_format=torch.channels_last)

    def _without_colour(self, pixels: Tensor) -> Tensor:
        """Each photo as it is, or its luma (BT.601) three times; JPEG keeps luma and chroma apart, so the order is free."""
        from kornia.color import rgb_to_grayscale

        if not self.gray:
            return pixels  # and the other draws are what they were before this one
        gray = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < self.gray
        return torch.where(gray, rgb_to_grayscale(pixels), pixels)

    def _draw_side(self, size: int) -> int:
        """The face's side in the photo: log-uniform, in whole blocks of JPEG."""
        low, high = (math.log(end) for end in self.scale)
        return max(round(size * math.exp(low + (high - low) * float(torch.rand(()))) / BLOCK), 1) * BLOCK

    def _draw_misses(self, pixels: Tensor, size: int) -> Tensor:
        """B x 2 x 3 similarities close to the identity, in affine_grid's coordinates (the crop spans -1 to 1)."""
        turn, zoom, x, y = (2 * torch.rand(4, len(pixels), device=pixels.device) - 1).unbind()
        angle, factor = turn * math.radians(self.turn), 1 + zoom * self.zoom
        cosine, sine = factor * angle.cos(), factor * angle.sin()
        reach = 2 * self.shift / size
        return torch.stack([cosine, -sine, x * reach, sine, cosine, y * reach], dim=1).view(-1, 2, 3)
