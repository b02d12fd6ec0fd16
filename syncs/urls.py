"""Addresses of this room below /api/v1/."""

from django.urls import path

from integrations.entities import ENTITIES
from syncs.api import issues, mapping_trials, operations, runs, status, syncs
from syncs.api.capabilities import capabilities_view, meta_view
from syncs.api.schema import list_view, one_view
from syncs.api.write_docs import action_view, bulk_view, refresh_view

urlpatterns = [
    path("sync-status", status.SyncStatus.as_view()),
    path("connections/<str:connection_id>/sync-status", status.ConnectionSyncStatus.as_view()),
    path("connections/<str:connection_id>/coverage", mapping_trials.ConnectionCoverage.as_view()),
    path(
        "connections/<str:connection_id>/mappings/<str:entity>/suggestions", mapping_trials.MappingSuggestions.as_view()
    ),
    path("connections/<str:connection_id>/mappings/<str:entity>/trial", mapping_trials.TryMapping.as_view()),
    path("connections/<str:connection_id>/mappings/<str:entity>/progress", mapping_trials.MappingProgress.as_view()),
    path("syncs", syncs.Syncs.as_view()),
    path("syncs/<str:sync_id>", syncs.OneSync.as_view()),
    path("syncs/<str:sync_id>/pause", syncs.PauseSync.as_view()),
    path("syncs/<str:sync_id>/resume", syncs.ResumeSync.as_view()),
    path("syncs/<str:sync_id>/runs", syncs.RequestRun.as_view()),
    path("sync-runs", runs.Runs.as_view()),
    path("sync-runs/<str:run_id>", runs.OneRun.as_view()),
    path("sync-runs/<str:run_id>/errors", runs.RunErrors.as_view()),
    path("sync-runs/<str:run_id>/suspects", runs.Suspects.as_view()),
    path("sync-runs/<str:run_id>/cancel", runs.CancelRun.as_view()),
    path("sync-runs/<str:run_id>/review", runs.ReviewRun.as_view()),
    path("issues", issues.Issues.as_view()),
    path("issues/<str:issue_id>", issues.OneIssue.as_view()),
    path("issues/<str:issue_id>/acknowledge", issues.AcknowledgeIssue.as_view()),
    path("operations", operations.Operations.as_view()),
    path("operations/<str:operation_id>", operations.OneOperation.as_view()),
    path("operations/<str:operation_id>/retry", operations.RetryOperation.as_view()),
    path("operations/<str:operation_id>/resolve", operations.ResolveOperation.as_view()),
    *(path(entity.describes.slug, list_view(entity).as_view()) for entity in ENTITIES.values()),
    *(path(f"{entity.describes.slug}/meta", meta_view(entity).as_view()) for entity in ENTITIES.values()),
    *(
        path(f"{entity.describes.slug}/<str:record_id>/capabilities", capabilities_view(entity).as_view())
        for entity in ENTITIES.values()
    ),
    *(path(f"{entity.describes.slug}/bulk", bulk_view(entity).as_view()) for entity in ENTITIES.values()),
    *(
        path(f"{entity.describes.slug}/<str:record_id>/refresh", refresh_view(entity).as_view())
        for entity in ENTITIES.values()
    ),
    *(
        path(f"{entity.describes.slug}/<str:record_id>/actions/<str:action>", action_view(entity).as_view())
        for entity in ENTITIES.values()
    ),
    *(path(f"{entity.describes.slug}/<str:record_id>", one_view(entity).as_view()) for entity in ENTITIES.values()),
]
