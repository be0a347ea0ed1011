"""The flood model as MLflow serves it. Explained in ``03_train_a_model``.

``tracking.log_network`` logs this file as the model's code. MLflow runs it when the model is loaded: no Python object
is pickled, and the weights stay in their safetensors file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.models.saved import load_model
from ml4ops_helpers.scenes.sentinel2 import Float


class FloodModel(PythonModel):
    """A network behind MLflow's interface: reflectance in, class probabilities out, images of any size."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - MLflow's own type is private
        """Load the weights that were logged with the model."""
        self.network, _ = load_model(context.artifacts["weights"])

    def predict(
        self,
        context: Any,  # noqa: ANN401
        model_input: np.ndarray,  # MLflow warns of a type that says more
        params: dict[str, Any] | None = None,
    ) -> Float:
        """Class probabilities ``(n, 3, height, width)`` of reflectance ``(n, bands, height, width)``."""
        return np.stack([predict_scene(self.network, image) for image in model_input])


set_model(FloodModel())
