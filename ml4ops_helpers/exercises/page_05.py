"""Exercises of ``05_run_inference``: cut a scene without a trace, and work out how wide a halo must be."""

from __future__ import annotations

import numpy as np

from .core import Answer, Exercise, Stumble, close

REACH = 3
"""How far the exercise's network sees."""


def _network(window: np.ndarray) -> np.ndarray:
    """Mean of the surroundings, filled with zeros beyond the window, as a network of convolutions does."""
    from scipy.ndimage import uniform_filter

    return np.asarray(uniform_filter(np.asarray(window, float), 2 * REACH + 1, mode="constant"))


def _whole(image: np.ndarray) -> np.ndarray:
    return _network(np.pad(image, REACH, mode="symmetric"))[REACH:-REACH, REACH:-REACH]


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
    if wrong[REACH:-REACH, REACH:-REACH].any():
        return "seams"
    if wrong.any():
        return "edge"
    image = rng.random((19, 29))
    try:
        return "" if close(answer.numbers(network, image, 8, 4, shape=image.shape), _whole(image)) else "rest"
    except Stumble:
        return "rest"


WINDOWS = Exercise(
    name="05.1",
    title="Cut without a trace",
    task="""
Write `in_windows(predict, image, tile, halo)`. `image` is a two-dimensional array and `predict` a network that gives
an array of the same shape for any window, but is wrong near the window's rim. Predict the image in windows of `tile`
pixels, each read with `halo` more on every side, and put the cores together. Beyond the scene's edge its mirror image
continues it, and its sides need not be multiples of `tile`. No window may be larger than `tile + 2 * halo`.""",
    stub="""
def in_windows(predict, image, tile, halo):
    return ...""",
    tip='Stuck? Section 3 has such a function for scenes of a convenient size. `np.pad` knows `mode="symmetric"`.',
    solution="""
def in_windows(predict, image, tile, halo):
    found = np.empty(image.shape)
    around = np.pad(image, halo, mode="symmetric")
    for r in range(0, image.shape[0], tile):
        for c in range(0, image.shape[1], tile):
            window = around[r : r + tile + 2 * halo, c : c + tile + 2 * halo]
            height, width = window.shape  # smaller at the right and the lower end
            core = predict(window)[halo : height - halo, halo : width - halo]
            found[r : r + tile, c : c + tile] = core
    return found""",
    takeaway="Windows equal the whole, so memory no longer depends on the scene, and nobody can see where it was cut.",
    judge=_judge_windows,
    hints={
        "memory": "A window was larger than the tile and its halo. A whole tile of Sentinel-2 would not fit into "
        "memory.",
        "seams": "Inside the scene, the result differs from that of the whole: pixels beside a cut did not see "
        "their neighbours, or a core was put in a wrong place.",
        "edge": "Inside the scene all is well, at its outer edge it is not: the network saw something other than "
        "the mirror image there.",
        "rest": "A scene of 19 × 29 pixels with tiles of 8 went wrong: the last windows of a row or column are "
        "smaller than the others.",
    },
    wrong={
        "memory": """
def in_windows(predict, image, tile, halo):
    return predict(np.pad(image, halo, mode="symmetric"))[halo:-halo, halo:-halo]""",
        "seams": """
def in_windows(predict, image, tile, halo):
    found = np.empty(image.shape)
    for r in range(0, image.shape[0], tile):
        for c in range(0, image.shape[1], tile):
            found[r : r + tile, c : c + tile] = predict(image[r : r + tile, c : c + tile])
    return found""",
        "edge": """
def in_windows(predict, image, tile, halo):
    found = np.empty(image.shape)
    around = np.pad(image, halo)
    for r in range(0, image.shape[0], tile):
        for c in range(0, image.shape[1], tile):
            window = around[r : r + tile + 2 * halo, c : c + tile + 2 * halo]
            found[r : r + tile, c : c + tile] = predict(window)[halo:-halo, halo:-halo]
    return found""",
        "rest": """
def in_windows(predict, image, tile, halo):
    found = np.zeros(image.shape)
    around = np.pad(image, halo, mode="symmetric")
    for r in range(0, image.shape[0] - tile + 1, tile):
        for c in range(0, image.shape[1] - tile + 1, tile):
            window = around[r : r + tile + 2 * halo, c : c + tile + 2 * halo]
            found[r : r + tile, c : c + tile] = predict(window)[halo:-halo, halo:-halo]
    return found""",
    },
)


def _judge_reach(answer: Answer) -> str:
    if not close(answer.numbers([(3, 1)]), 3) or not close(answer.numbers([(3, 1), (3, 1), (5, 1)]), 9):
        return "width"
    if not close(answer.numbers([(3, 2)]), 3):
        return "order"
    if not close(answer.numbers([(3, 2), (3, 1)]), 7):
        return "stride"
    return "" if close(answer.numbers([(3, 2), (3, 2), (2, 2), (3, 1)]), 27) else "product"


REACHES = Exercise(
    name="05.2",
    title="How far it sees",
    task="""
Write `reach(layers)`: how many pixels of the input, counted along a row, one output pixel sees. `layers` lists the
convolutions and poolings from input to output, each as `(kernel, stride)`. Two convolutions of 3 × 3 see 5 pixels:
`reach([(3, 1), (3, 1)]) == 5`. If the first of them also halves the image, neighbours in the second are two pixels
apart, and `reach([(3, 2), (3, 1)]) == 7`.""",
    stub="""
def reach(layers):
    return ...""",
    tip="Stuck? Go through the layers with two numbers: what is seen so far, and how far apart neighbours are by now.",
    solution="""
def reach(layers):
    seen, apart = 1, 1  # pixels of the input
    for kernel, stride in layers:
        seen += (kernel - 1) * apart
        apart *= stride
    return seen""",
    takeaway="Each halving doubles what every later layer adds. The widest halo has half of the sum on each side.",
    judge=_judge_reach,
    hints={
        "width": "One 3 × 3 convolution sees 3 pixels, a second one 5, and one of 5 × 5 after both 9: how many "
        "*more* does each layer add to what is there?",
        "order": "A single convolution of 3 × 3 with stride 2 sees 3 pixels. Its stride matters to the layers after "
        "it.",
        "stride": "After a stride of 2, neighbours lie two pixels of the input apart, so the next 3 × 3 convolution "
        "adds four: 7 in all.",
        "product": "One halving is right, several are not: expected 27 for (3, 2), (3, 2), (2, 2), (3, 1). After "
        "three halvings, how far apart are neighbours?",
    },
    wrong={
        "width": """
def reach(layers):
    return sum(kernel for kernel, _ in layers)""",
        "order": """
def reach(layers):
    seen, apart = 1, 1
    for kernel, stride in layers:
        apart *= stride
        seen += (kernel - 1) * apart
    return seen""",
        "stride": """
def reach(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)""",
        "product": """
def reach(layers):
    seen, apart = 1, 1
    for kernel, stride in layers:
        seen += (kernel - 1) * apart
        apart = stride
    return seen""",
    },
)

EXERCISES = (WINDOWS, REACHES)
