from .areas import (
    Area as Area,
    area_interval as area_interval,
    expected_area as expected_area,
    fit_area_factor as fit_area_factor,
    highest_level as highest_level,
)
from .calibration import (
    calibration_table as calibration_table,
    debiased_calibration_error as debiased_calibration_error,
    expected_calibration_error as expected_calibration_error,
    fit_temperature as fit_temperature,
    reliability as reliability,
    scale_temperature as scale_temperature,
)
from .conformal import (
    coverage_table as coverage_table,
    fit_sets as fit_sets,
    prediction_sets as prediction_sets,
)
from .dropout import (
    DropoutSampler as DropoutSampler,
    draw_masks as draw_masks,
    with_dropout as with_dropout,
)
from .samples import (
    Moments as Moments,
    augmented_samples as augmented_samples,
    dropout_samples as dropout_samples,
    ensemble_samples as ensemble_samples,
    entropy as entropy,
    mc_dropout as mc_dropout,
    summarise_samples as summarise_samples,
)
from .selective import SelectiveHistogram as SelectiveHistogram
from .uncertainty_plots import (
    coverage_figure as coverage_figure,
    expected_area_figure as expected_area_figure,
    reliability_figure as reliability_figure,
    risk_figure as risk_figure,
    sets_figure as sets_figure,
)
