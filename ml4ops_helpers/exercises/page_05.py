"""Exercises of ``05_run_inference``: tiles without seams, and how wide a halo must be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .core import Answer, AnswerError, Exercise, close

MARGIN = 3
"""How far the exercise's network sees to each side."""


def in_windows(predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray, tile: int, halo: int) -> np.ndarray:
    found = np.empty(image.shape)
    around = np.pad(image, halo, mode="symmetric")
    for r in range(0, image.shape[0], tile):
        for c in range(0, image.shape[1], tile):
            window = around[r : r + tile + 2 * halo, c : c + tile + 2 * halo]
            height, width = window.shape  # smaller at the right and the lower edge
            core = predict(window)[halo : height - halo, halo : width - halo]
            found[r : r + tile, c : c + tile] = core
    return found


def _network(window: np.ndarray) -> np.ndarray:
    """Mean of the neighbourhood, padded with zeros at the window's edge, as in a convolutional network."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(np.asarray(window, float), 2 * MARGIN + 1, mode="constant"))


def _whole(image: np.ndarray) -> np.ndarray:
    return _network(np.pad(image, MARGIN, mode="symmetric"))[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _judge_windows(answer: Answer) -> str:
    largest = 0

    def network(window: np.ndarray) -> np.ndarray:
        nonlocal largest
        largest = max(largest, *np.shape(window))
        return _network(window)

    rng = np.random.default_rng(5)
    image = rng.random((16, 24))
    wrong = np.abs(answer.numbers(network, image, 8, 4, shape=image.shape) - _whole(image)) > 1e-6
    if largest > 16:
        return "memory"
    if wrong[MARGIN:-MARGIN, MARGIN:-MARGIN].any():
        return "seams"
    if wrong.any():
        return "edge"
    image = rng.random((19, 29))
    try:
        return "" if close(answer.numbers(network, image, 8, 4, shape=image.shape), _whole(image)) else "rest"
    except AnswerError:
        return "rest"


WINDOWS = Exercise(
    name="05.1",
    title="Tiles without seams",
    task="""
Write `in_windows(predict, image, tile, halo)`. `image` is a two-dimensional array, and `predict` is a network that
returns an array of the same shape for any window, but is wrong near the window's edge. Predict the image in tiles of
`tile` pixels, each read with `halo` more pixels on every side, and put the cores together. Beyond the scene's edge, its
mirror image continues it. The scene's sides need not be multiples of `tile`, and no window may be larger than
`tile + 2 * halo`.""",
    tip='Stuck? Section 3 has such a function for scenes of a convenient size. `np.pad` offers `mode="symmetric"`.',
    reference=in_windows,
    judge=_judge_windows,
    hints={
        "memory": "A window was larger than a tile with its halo. A whole Sentinel-2 scene would not fit into memory.",
        "seams": "Inside the scene, the result differs from predicting it whole: pixels next to a cut did not see "
        "their neighbours, or a core was put in the wrong place.",
        "edge": "The inside of the scene is right, its outer edge is not: there the network saw something other than "
        "the mirror image.",
        "rest": "A scene of 19 × 29 pixels with tiles of 8 went wrong: the last windows of a row or column are smaller "
        "than the others.",
    },
    takeaway="The windows give the same map as the whole, so memory no longer depends on the scene, and nobody can see "
    "where it was cut.",
)


def reach(layers: list[tuple[int, int]]) -> int:
    seen, apart = 1, 1  # pixels of the input
    for kernel, stride in layers:
        seen += (kernel - 1) * apart
        apart *= stride
    return seen


def _judge_reach(answer: Answer) -> str:
    if not close(answer.numbers([(3, 1)]), 3) or not close(answer.numbers([(3, 1), (3, 1), (5, 1)]), 9):
        return "width"
    if not close(answer.numbers([(3, 2)]), 3):
        return "order"
    if not close(answer.numbers([(3, 2), (3, 1)]), 7):
        return "stride"
    return "" if close(answer.numbers([(3, 2), (3, 2), (2, 2), (3, 1)]), 27) else "product"


REACH = Exercise(
    name="05.2",
    title="How far a network sees",
    task="""
Write `reach(layers)`: how many pixels of the input, counted along a row, one output pixel sees. `layers` lists the
convolutions and pooling layers from input to output, each as `(kernel, stride)`. Two 3 × 3 convolutions see 5 pixels:
`reach([(3, 1), (3, 1)]) == 5`. If the first of them also halves the image, neighbours in the second are two pixels
apart, and `reach([(3, 2), (3, 1)]) == 7`.""",
    tip="Stuck? Go through the layers with two numbers: how much is seen so far, and how far apart neighbours are.",
    reference=reach,
    judge=_judge_reach,
    hints={
        "width": "One 3 × 3 convolution sees 3 pixels, a second one 5, and a 5 × 5 after both 9: how many *more* does "
        "each layer add?",
        "order": "A single 3 × 3 convolution with stride 2 sees 3 pixels. Its stride matters to the layers after it.",
        "stride": "After a stride of 2, neighbours are two pixels of the input apart, so the next 3 × 3 convolution "
        "adds four: 7 in all.",
        "product": "One halving is right, several are not: expected 27 for (3, 2), (3, 2), (2, 2), (3, 1). How far "
        "apart are neighbours after three halvings?",
    },
    takeaway="Each halving doubles what every later layer adds. A halo that covers it all has half of the sum on each "
    "side.",
)

EXERCISES = (WINDOWS, REACH)
