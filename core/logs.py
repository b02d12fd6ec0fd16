"""One way of logging: structlog, with the standard library's loggers routed through it. Django-free.

Each line has an ISO time in UTC, level, logger, event and whatever is bound by context (`request_id`, `run_id`).
Secrets are cut from everything just before it is written, tracebacks included; tracebacks never show local values.

`configure` is called by CoreConfig.ready(). Celery would set up logging of its own after that; whoever wires the
worker connects `configure` to `celery.signals.setup_logging`, which makes Celery leave logging alone:

    @setup_logging.connect
    def _logging(**_: object) -> None:
        configure(settings.LOG_FORMAT, settings.LOG_LEVEL)
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from core.redaction import redact_item

# Lines that RequestIdMiddleware writes already (and `django.server` with query strings), or that nobody reads.
_QUIETER: dict[str, int] = {
    "django.request": logging.ERROR,
    "django.server": logging.ERROR,
    "urllib3": logging.WARNING,
    "asyncio": logging.WARNING,
    "axes": logging.WARNING,
    # At DEBUG it writes the whole context of a page for each variable that is not there.
    "django.template": logging.INFO,
    # Clients of secrets managers: at DEBUG the first writes whole answers, secrets and all.
    "botocore": logging.WARNING,
    "boto3": logging.WARNING,
    "azure": logging.WARNING,
    "msal": logging.WARNING,
}
# These come with handlers of their own.
_ROUTED = ("django", "django.server", "gunicorn.error", "gunicorn.access", "celery")


class LineHandler(logging.Handler):
    """The one handler that `configure` installs, so that it can find and replace it.

    It asks for sys.stderr at every line: who replaces or closes that one (a test runner, a daemon) is followed.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


def configure(format: str = "json", level: str = "INFO") -> None:
    """Set up all logging of this process: `format` json or console, `level` a name. Calling it again replaces it."""
    gather: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*gather, cut_secrets, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=False,
    )
    handler = LineHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*gather, structlog.stdlib.ExtraAdder(), _drop_objects, cut_secrets],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(format)],
        )
    )
    _install(handler, level)


def cut_secrets(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """The processor: values under secret keys and secrets inside any text are cut."""
    return {key: value if key.startswith("_") else redact_item(key, value) for key, value in event_dict.items()}


def _renderer(format: str) -> Processor:
    if format == "console":
        return structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(serializer=_json_line)


def _json_line(event_dict: MutableMapping[str, Any], **_: object) -> str:
    """A log line is never lost to a value that has no JSON form (a lone surrogate, an integer of 100 bits)."""
    try:
        return orjson.dumps(event_dict, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return orjson.dumps({str(key): _plain(value) for key, value in event_dict.items()}).decode()


def _plain(value: object) -> str:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else ascii(value)


def _drop_objects(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Django adds whole request and connection objects to its records; their text would show query strings."""
    for name in ("request", "connection", "socket"):
        event_dict.pop(name, None)
    return event_dict


def _install(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, LineHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _ROUTED:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        # Django's own set-up pins these at INFO; without a level they follow the root's.
        logger.setLevel(logging.NOTSET)
    for name, floor in _QUIETER.items():
        logging.getLogger(name).setLevel(max(floor, root.level))
