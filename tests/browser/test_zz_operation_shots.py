from tests.browser.test_operation_screens import *  # noqa
from tests.browser.test_operation_screens import in_review, operation_of, call
for _n in ("test_screens_of_operations_fit", "test_page_moves_by_itself_and_brings_the_story", "test_look_alike_is_chosen_by_hand"):
    globals().pop(_n)
from datetime import timedelta
import os

def test_shots(page, plant, owner):
    review = in_review(plant)
    now = timezone.now()
    diff = [{"pointer": f"/lines/{n}/description", "before": "Mechanical seal 8 mm", "after": {"text": "Seal 10 mm", "n": n}} for n in range(3)]
    missed = [{"pointer": "/notes", "wished": "Deliver to gate 3.", "found": None}]
    done = {"status": "succeeded", "stage": "ended", "attempts": 1, "first_sent_at": now, "sent_at": now, "done_at": now}
    ok = operation_of(plant, remote_id="1001", request={"lines": []}, diff=diff, not_applied=missed, before={"a": 1}, calls=[call("PATCH", repeatable=True)], call_no=1, **done)
    fail = operation_of(plant, remote_id="1001", kind="delete", status="failed", stage="ended", attempts=1, done_at=now, first_sent_at=now, calls=[call("DELETE", body=None, headers={}, repeatable=True)], error={**ERROR, "code": "BUSINESS_RULE", "message": "Received orders stay.", "who_must_act": "customer"})
    run = operation_of(plant, remote_id="1001", kind="action", action="send_to_vendor", request={"channel": "edi"}, status="running", stage="sending", lease_until=now + timedelta(minutes=5), calls=[call("POST")], attempts=1, first_sent_at=now, sent_at=now)
    behind = operation_of(plant, remote_id="1001", request={"notes": "Gate 3"})
    sign_in(page, owner)
    from syncs.models import Record
    with scopes_disabled():
        record = Record.objects.get(remote_id="1001")
    os.makedirs("/tmp/shots", exist_ok=True)
    pages = {"review": change(review), "ok": change(ok), "fail": change(fail), "run": change(run), "behind": change(behind), "list": "/admin/syncs/operation/", "record": change(record), "connection": change(plant), "home": "/admin/"}
    for n in ("done", "not_done", "retry"):
        pages[n] = change(review).replace("/change/", f"/press/{n}/")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size, (w, h) in SIZES.items():
            page.set_viewport_size({"width": w, "height": h})
            for name, address in pages.items():
                page.goto(address)
                page.evaluate(f"document.documentElement.classList.toggle('dark', {'true' if scheme == 'dark' else 'false'})")
                page.wait_for_timeout(150)
                page.screenshot(path=f"/tmp/shots/{name}-{size}-{scheme}.png", full_page=True)
