"""What every section has: strict types, and which fields say where and how fast to run."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from thinkscale.keys import JSON

PLACEMENT: dict[str, Any] = {"placement": True}


class Settings(BaseModel):
    """Base of every section: unknown keys and loose types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def identity_of(settings: BaseModel) -> dict[str, JSON]:
    """Settings as JSON, without those that only say where and how fast to run."""
    row: dict[str, JSON] = {}
    for name, info in type(settings).model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and extra.get("placement"):
            continue
        row[name] = _identity_value(getattr(settings, name))
    return row


def _identity_value(value: object) -> JSON:
    if isinstance(value, BaseModel):
        return identity_of(value)
    if isinstance(value, (tuple, list)):
        return [_identity_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _identity_value(item) for key, item in value.items()}
    assert value is None or isinstance(value, (str, int, float, bool))
    return value
