from dataclasses import dataclass, field

import hydra
from hydra.core.config_store import ConfigStore


@dataclass
class Training:
    epochs: int = 20
    rate: float = 0.002


@dataclass
class Config:
    model: str = "unet"
    training: Training = field(default_factory=Training)


ConfigStore.instance().store(name="config", node=Config)


@hydra.main(version_base=None, config_name="config")
def main(config: Config) -> None:
    print(config.model, config.training)


main()
