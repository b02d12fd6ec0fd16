import json, os
from datetime import timedelta
import pytest
from django.utils import timezone
from django_scopes import scopes_disabled
from connections.models import Connection
from connections import services
from connections.choices import ConnectionStatus
from syncs.models import *
from syncs.choices import *
from tests.connectors import connect, erp_connector, erp_server
from tests.syncing import run_sync, sync_of
from tests.tenants import make_person, make_workspace
pytestmark=[pytest.mark.django_db(transaction=True)]
S="/tmp/shots/"

def shots(page, name, path):
    page.goto(path); page.wait_for_load_state("networkidle") if "zz" in name else page.wait_for_timeout(300)
    for scheme in ("light","dark"):
        page.emulate_media(color_scheme=scheme); page.set_viewport_size({"width":1400,"height":900}); page.goto(path); page.wait_for_timeout(200)
        for w in (1400,400):
            if scheme=="dark" and w==400 and "home" not in name: continue
            page.set_viewport_size({"width":w,"height":900 if w==1400 else 800})
            page.wait_for_timeout(250)
            over=page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if over>0: print("OVERFLOW",name,w,over)
            page.screenshot(path=f"{S}{name}-{scheme}-{w}.png", full_page=True)
    page.emulate_media(color_scheme="light"); page.set_viewport_size({"width":1400,"height":900})

def test_look(page, erp_connector, erp_server, settings):
    ws=make_workspace("Nordring"); 
    owner=make_person("owner", ws); owner.set_password("pw-for-tests-1"); owner.save()
    c=connect(erp_server, workspace=ws, name="Nordring Plant North", customer_reference="cust-4711")
    erp_server.add_orders(60); erp_server.add_vendors(12)
    run_sync(sync_of(c)); run_sync(sync_of(c,"vendor"))
    erp_server.fail("bad_amount"); erp_server.change("orders","1001",notes="x"); run_sync(sync_of(c)); erp_server.heal()
    c2=connect(erp_server, workspace=ws, name="Harbour Terminal with quite a long customer name GmbH & Co. KG")
    run_sync(sync_of(c2)); 
    erp_server.delete("orders", *[str(n) for n in range(1010,1050)]); rev=run_sync(sync_of(c2),"full")
    print(rev.status)
    c3=connect(erp_server, workspace=ws, name="Mill Three", api_key="wrong")
    with scopes_disabled(): services.check_connection(c3, by="x")
    c4=connect(erp_server, workspace=ws, name="Old Foundry", paused=True); 
    sync_of(c4)
    erp_server.fail("http_403", on="/orders"); c5=connect(erp_server, workspace=ws, name="Refused Ltd"); failed=run_sync(sync_of(c5), rounds=9); erp_server.heal()
    with scopes_disabled():
        vs=sync_of(c,"vendor"); Sync.objects.filter(pk=vs.pk).update(data_as_of=timezone.now()-timedelta(hours=5))
        active=SyncRun.objects.create(workspace=ws,connection=c,sync=vs,mode="incremental",status="waiting",phase="fetching",read_count=420,total=1000,started_at=timezone.now()-timedelta(seconds=75),due_at=timezone.now()+timedelta(minutes=5))
        rec=Record.objects.filter(connection=c,entity="purchase_order").first()
        q=QuarantinedRecord.objects.first()
    page.goto("/admin/"); page.fill("#id_username",owner.username); page.fill("#id_password","pw-for-tests-1"); page.click("button[type=submit]")
    page.wait_for_timeout(1500); page.screenshot(path="/tmp/shots/first.png")
    page.wait_for_selector("#home-status", timeout=3000)
    A="/admin/"
    todo=[("home",A),("conn-list",A+"connections/connection/"),("conn-choose",A+"connections/connection/add/"),
     ("conn-add",A+"connections/connection/add/?system=test-erp"),
     ("conn-page",A+f"connections/connection/{c.pk}/change/"),("conn-reauth",A+f"connections/connection/{c3.pk}/change/"),
     ("mapping",A+f"connections/connection/{c.pk}/mapping/purchase_order/"),("disconnect",A+f"connections/connection/{c.pk}/press/disconnect/"),
     ("sync-list",A+"syncs/sync/"),("sync-page",A+f"syncs/sync/{sync_of(c).pk}/change/"),
     ("run-list",A+"syncs/syncrun/"),("run-review",A+f"syncs/syncrun/{rev.pk}/change/"),("run-delete",A+f"syncs/syncrun/{rev.pk}/press/delete/"),
     ("run-active",A+f"syncs/syncrun/{active.pk}/change/"),("run-failed",A+f"syncs/syncrun/{failed.pk}/change/"),
     ("records-choose",A+"syncs/record/"),("records",A+f"syncs/record/?connection={c.pk}&entity=purchase_order"),("record",A+f"syncs/record/{rec.pk}/change/"),
     ("quarantine",A+"syncs/quarantinedrecord/"),("quarantined",A+f"syncs/quarantinedrecord/{q.pk}/change/"),("events",A+"workspaces/event/")]
    only=os.environ.get("ONLY","").split(",") if os.environ.get("ONLY") else None
    for n,p in todo:
        if only and n not in only: continue
        shots(page,n,p)
