"""Switches of a running simulator."""

from __future__ import annotations

from typing import Any

from integrations.simulators.kit.jobs import OUTCOMES

HOOKS: dict[str, Any] = {
    # Sent so long after the change.
    "late_seconds": 0,
    # How often each is sent.
    "copies": 1,
    # What gathers within a moment is sent last one first.
    "out_of_order": False,
    # Signed with another secret.
    "wrong_signature": False,
    # Signed as if so long ago.
    "old_seconds": 0,
}
DEFAULTS: dict[str, Any] = {
    # Answer ETags and judge If-Match.
    "etags": False,
    # None, or {"methods": ["POST"], "entities": null (all), "delay_seconds": 1, "outcome": "done"}.
    "asynchronous": None,
    # Refuse requests that name no organisation.
    "require_organization": False,
    # Requests a minute and key before 429; None is no limit.
    "rate_limit_per_minute": None,
    # Time every request takes at least.
    "latency_ms": 0,
    # How messages to subscribers go wrong, see HOOKS.
    "hooks": HOOKS,
}
_ASYNCHRONOUS: dict[str, Any] = {
    "methods": ["POST", "PATCH", "DELETE"],
    "entities": None,
    "delay_seconds": 1,
    "outcome": "done",
}
_NUMBERS = {"rate_limit_per_minute", "latency_ms"}


class InvalidSettingError(ValueError):
    """Says which setting cannot be that."""


class Settings:
    """The kit's switches and those of the tenant; a change is checked before any of it takes effect."""

    def __init__(self, tenant: dict[str, Any]) -> None:
        self._defaults = DEFAULTS | tenant
        self.values = dict(self._defaults)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def change(self, changes: dict[str, Any]) -> dict[str, Any]:
        self.values = self.values | {name: self._read(name, value) for name, value in changes.items()}
        return self.values

    def reset(self) -> None:
        self.values = dict(self._defaults)

    def _read(self, name: str, value: Any) -> Any:
        if name not in self._defaults:
            raise InvalidSettingError(f"unknown setting {name}; there are {', '.join(self._defaults)}")
        if name == "asynchronous":
            return None if not value else _read_asynchronous(value)
        if name == "hooks":
            return _read_hooks(value or {})
        default = self._defaults[name]
        if name in _NUMBERS:
            is_right = value is None or (isinstance(value, int | float) and value >= 0)
        else:
            is_right = isinstance(value, type(default))
        if not is_right or (value is None and default is not None):
            raise InvalidSettingError(f"{name} cannot be {value!r}")
        return value


def _read_asynchronous(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) - set(_ASYNCHRONOUS):
        raise InvalidSettingError(f"asynchronous takes {', '.join(_ASYNCHRONOUS)}")
    read = _ASYNCHRONOUS | value
    if read["outcome"] not in OUTCOMES:
        raise InvalidSettingError(f"outcome must be one of {', '.join(OUTCOMES)}")
    if not isinstance(read["delay_seconds"], int | float) or not isinstance(read["methods"], list):
        raise InvalidSettingError("delay_seconds must be a number and methods a list")
    return read


def _read_hooks(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) - set(HOOKS):
        raise InvalidSettingError(f"hooks takes {', '.join(HOOKS)}")
    read = HOOKS | value
    for name, default in HOOKS.items():
        wanted = bool if isinstance(default, bool) else int | float
        if not isinstance(read[name], wanted) or (wanted is not bool and read[name] < 0):
            raise InvalidSettingError(f"{name} of hooks cannot be {read[name]!r}")
    return {**read, "copies": int(read["copies"])}
