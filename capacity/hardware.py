"""Compare the hardware that operators have entered as running (``usage.cost``) with the needs of a growth phase."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from capacity.models import Phase
from usage.cost import InfrastructureCost, running_at

Resource = InfrastructureCost.Resource


@dataclass(frozen=True)
class Hardware:
    """The numbers of GPUs and pods that run, as operators have entered them.

    ``is_known``: False if no operator has entered anything.
    """

    gpus: int
    pods: int
    is_known: bool

    def in_words(self) -> str:
        """Describe the hardware, for example ``2 T4 GPUs, 3 API pods``."""
        if not self.is_known:
            return "the running hardware has not been entered"
        return f"{self.gpus:,} T4 GPU{'s' * (self.gpus != 1)}, {self.pods:,} API pod{'s' * (self.pods != 1)}"

    def against(self, phase: Phase) -> str:
        """Describe how the hardware compares with the needs of a phase; "" if the hardware is not known."""
        if not self.is_known:
            return ""
        gpus = phase.gpus_from or 0
        pods = phase.pods_from or 0
        if self.gpus < gpus or self.pods < pods:
            return "less than this phase needs"
        most_gpus = phase.gpus_to
        most_pods = phase.pods_to
        is_more = (most_gpus is not None and self.gpus > most_gpus) or (most_pods is not None and self.pods > most_pods)
        return "more than this phase needs" if is_more else "what this phase needs"


def running(now: datetime) -> Hardware:
    """Return the hardware that runs at a given time, according to the operators' entries."""
    found = running_at(now)
    return Hardware(found.get(Resource.T4, 0), found.get(Resource.API_POD, 0), bool(found))
