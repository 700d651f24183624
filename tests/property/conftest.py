"""The profile: the same examples each time, and no deadlines, which a busy machine would miss.

$MIRRORPY_EXAMPLES asks for more of them, at random.
"""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = os.environ.get("MIRRORPY_EXAMPLES")
settings.register_profile(
    "mirrorpy",
    deadline=None,
    derandomize=EXAMPLES is None,
    max_examples=int(EXAMPLES or 150),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    database=None,
)
settings.load_profile("mirrorpy")
