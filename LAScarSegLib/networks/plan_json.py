"""Plans as plain dictionaries, for every architecture: what `Plan.to_json` gives, and the keys that `Plan.from_json` takes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ..errors import InputError


def plan_to_json(plan: Any) -> dict[str, Any]:
    """A plain dictionary (lists, no tuples) of a plan's fields."""
    return json.loads(json.dumps(dataclasses.asdict(plan)))


def check_plan_keys(plan: type, data: Mapping[str, Any]) -> None:
    """`InputError` unless `data` has every field of the class `plan` that has no default, and nothing else."""
    fields = dataclasses.fields(plan)
    unknown = sorted(set(data) - {field.name for field in fields})
    missing = [field.name for field in fields if field.default is dataclasses.MISSING and field.name not in data]
    if unknown or missing:
        words = [f"{word} {', '.join(names)}" for word, names in (("unknown", unknown), ("missing", missing)) if names]
        raise InputError(f"The network plan can't be used: {'; '.join(words)}.")
