import hashlib
import sys

import numpy as np

seed = int(sys.argv[1])
weights = np.random.default_rng(seed).normal(size=1000)
print(seed, hashlib.sha256(weights.tobytes()).hexdigest()[:12])
