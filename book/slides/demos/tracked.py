import mlflow
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score

mlflow.set_tracking_uri("sqlite:///runs.db")
mlflow.set_experiment("demo")
rng = np.random.default_rng(0)
x = rng.normal(size=(60, 30))
y = x[:, 0] + rng.normal(size=60)

for alpha in (0.1, 10.0, 1000.0):
    with mlflow.start_run():
        mlflow.log_param("alpha", alpha)
        mlflow.log_metric("r2", cross_val_score(Ridge(alpha), x, y).mean())

runs = mlflow.search_runs(order_by=["metrics.r2 DESC"])
print(runs[["params.alpha", "metrics.r2"]].round(3).to_string(index=False))
