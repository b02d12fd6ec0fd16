"""Settings that would hurt later stop the start, by id and with a hint."""

import base64

import pytest
from django.apps import apps
from django.core.checks.registry import registry
from django.test import override_settings

from core import checks
from core.checks import QueueLimits

GOOD = {
    "ENCRYPTION_KEYS": "one:" + base64.b64encode(bytes(32)).decode(),
    "TOKEN_PEPPER": "p" * 32,
    "SYNC_WORK_BUDGET_SECONDS": 300,
}
GOOD_LIMITS = QueueLimits(visibility=900, soft=540, hard=600)
UNKNOWN_LIMITS = QueueLimits(None, None, None)
ALL_CHECKS = (
    checks.key_ring_is_readable,
    checks.unfinished_tasks_return_after_they_ended,
    checks.tasks_are_warned_before_they_are_killed,
    checks.work_budget_fits_the_task,
    checks.token_pepper_is_long,
)


@pytest.mark.parametrize(
    ("wrong", "limits", "expected"),
    [
        pytest.param({}, GOOD_LIMITS, [], id="good"),
        pytest.param({}, UNKNOWN_LIMITS, [], id="no-queue-here"),
        pytest.param({"ENCRYPTION_KEYS": "broken"}, GOOD_LIMITS, ["core.E001"], id="key-ring"),
        pytest.param({}, GOOD_LIMITS._replace(visibility=600), ["core.E002"], id="visibility"),
        pytest.param({}, GOOD_LIMITS._replace(soft=600), ["core.E003"], id="soft-limit"),
        pytest.param({"SYNC_WORK_BUDGET_SECONDS": 540}, GOOD_LIMITS, ["core.E004"], id="work-budget"),
        pytest.param({"TOKEN_PEPPER": "short"}, GOOD_LIMITS, ["core.E005"], id="pepper"),
    ],
)
def test_system_checks_name_what_is_wrong_and_how_to_mend_it(monkeypatch, wrong, limits, expected):
    monkeypatch.setattr(checks, "queue_limits", lambda: limits)
    with override_settings(**{**GOOD, **wrong}):
        found = [message for check in ALL_CHECKS for message in check()]
    assert [message.id for message in found] == expected
    assert all(message.hint for message in found)


def test_queue_limits_are_those_of_the_celery_application(monkeypatch):
    class Conf:
        broker_transport_options = {"visibility_timeout": 900}
        task_soft_time_limit, task_time_limit = 540, 600

    class App:
        conf = Conf

    monkeypatch.setattr(checks, "current_app", App)
    assert checks.queue_limits() == GOOD_LIMITS


def test_the_app_registers_every_check():
    assert apps.get_app_config("core").name == "core"
    assert set(ALL_CHECKS) <= set(registry.get_checks())
