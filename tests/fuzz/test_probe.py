import collections, time, logging
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema, events
from tests.fuzz.application import Application
from tests.fuzz.steering import Steering
from tests.tenancy.conftest import built_world, world  # noqa
def test_it(world, settings):
    import structlog
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)); logging.getLogger().setLevel(logging.ERROR)
    settings.RATE_LIMIT_TOKEN = settings.RATE_LIMIT_CONNECTION = 0
    app = Application()
    checks = {"enabled": False, "not_a_server_error": {"enabled": True}, "status_code_conformance": {"enabled": True}, "content_type_conformance": {"enabled": True}}
    config = SchemathesisConfig.from_dict({"seed": 7, "continue-on-failure": True, "generation": {"mode": "all", "no-shrink": True}, "phases": {"fuzzing": {"generation": {"max-examples": 5}}, "stateful": {"enabled": False}}, "checks": checks})
    t = time.time()
    schema = schemathesis.openapi.from_wsgi("/api/schema", app, config=config, headers={"Accept": "application/vnd.oai.openapi+json"})
    steer = Steering(world, 7)
    def before_call(context, case, kwargs): steer.change(case)
    schemathesis.hook(before_call)
    print("load", time.time() - t); import traceback, psycopg; orig = psycopg.Connection.close; psycopg.Connection.close = lambda self: (traceback.print_stack(), orig(self))[1]
    for q in ("SHOW idle_in_transaction_session_timeout",):
        c = app._database.cursor(); c.execute(q); print(c.fetchall())
    und = collections.Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.PhaseStarted): print(event.phase.name, time.time() - t, app.cases, flush=True)
        if isinstance(event, events.NonFatalError): print("ERR", event.label, repr(event.value)[:300])
        if isinstance(event, events.ScenarioFinished):
            for nodes in event.recorder.checks.values():
                for node in nodes:
                    if node.failure_info: und[f"{event.recorder.label}: {type(node.failure_info.failure).__name__} {str(node.failure_info.failure)[:150]!r}"] += 1
        if time.time() - t > 25: break
    print(app.cases, time.time() - t, app.statuses)
    for e in app.errors: print(e)
    for e in app.unanswered: print(e)
    for k in und.most_common(): print(k)
