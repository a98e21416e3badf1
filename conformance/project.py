"""The project folder of an API, which a server is started on: cortex.yaml and predictor.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from conformance.catalogue import PredictorType

_WITNESSES = Path(__file__).parent / "witness"


@dataclass(frozen=True)
class Api:
    """The configuration of one API; `models` holds `model_path` or `models` as spec/models.md writes them.

    `witness` is the module whose predictor class runs inside the server: its name in conformance/witness/, or its file.
    `more` are further keys of the section `predictor`, `compute` those of the section of that name.
    """

    predictor: PredictorType
    models: Mapping[str, Any]
    witness: str | Path = "usual"
    more: Mapping[str, Any] = field(default_factory=dict)
    compute: Mapping[str, int] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """Write cortex.yaml."""
        predictor = {"type": self.predictor, "path": "predictor.py", **self.models, **self.more}
        api: dict[str, Any] = {"name": "servecheck", "kind": "RealtimeAPI", "predictor": predictor}
        if self.compute:
            api["compute"] = dict(self.compute)
        return yaml.safe_dump([api], sort_keys=False, allow_unicode=True)


def write_project(api: Api, folder: Path, journals: Path) -> None:
    """Write the project into a new folder, and make the folder of the witness's journals."""
    folder.mkdir(parents=True)
    journals.mkdir()
    (folder / "cortex.yaml").write_text(api.to_yaml(), encoding="utf-8")
    file = api.witness if isinstance(api.witness, Path) else _WITNESSES / f"{api.witness}.py"
    witness = file.read_text(encoding="utf-8")
    (folder / "predictor.py").write_text(witness.replace("@journal_folder@", str(journals)), encoding="utf-8")
