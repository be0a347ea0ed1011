from .landscape import (
    Float as Float,
    fractal as fractal,
    rank as rank,
)
from .simulate import CLOUD_THICKNESS as CLOUD_THICKNESS
from .spectra import add_cloud as add_cloud
from .surfaces import draw_surfaces as draw_surfaces
