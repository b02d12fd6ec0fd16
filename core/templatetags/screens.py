"""Filters of our screens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from core import admin_texts

register = template.Library()


@register.filter
def moment(value: datetime | None, empty: str = "never") -> SafeString | str:
    """The time relative to now, with the time itself below it."""
    return admin_texts.moment(value, empty=empty)


@register.filter
def planned(value: datetime | None) -> SafeString | str:
    """A time to come; when it has come already, that it is due."""
    return admin_texts.planned(value)


@register.filter
def ago(value: datetime | None) -> str:
    """The time relative to now, in words."""
    return "never" if value is None else admin_texts.relative(value)


@register.filter
def json_block(value: Any) -> SafeString:
    """Indented JSON."""
    return admin_texts.json_block(value)


@register.filter
def who_acts(value: str) -> str:
    """Who must act, in words."""
    return admin_texts.WHO_ACTS.get(value, value)


@register.filter
def number(value: int | None) -> str:
    """12,345."""
    return "" if value is None else admin_texts.number(value)
