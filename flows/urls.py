"""Addresses of this room below /api/v1/."""

from django.urls import path

from flows.api import catalogue, deciding, flows, hooks, runs, secrets, states, testing

urlpatterns = [
    path("flow-schema", catalogue.FlowSchema.as_view()),
    path("flow-templates", catalogue.FlowTemplates.as_view()),
    path("flows", flows.Flows.as_view()),
    path("flows/validate", catalogue.ValidateFlow.as_view()),
    path("flows/<str:flow_id>", flows.OneFlow.as_view()),
    path("flows/<str:flow_id>/export", states.ExportFlow.as_view()),
    path("flows/<str:flow_id>/publish", states.PublishFlow.as_view()),
    path("flows/<str:flow_id>/pause", states.PauseFlow.as_view()),
    path("flows/<str:flow_id>/resume", states.ResumeFlow.as_view()),
    path("flows/<str:flow_id>/versions", states.FlowVersions.as_view()),
    path("flows/<str:flow_id>/versions/<int:number>", states.OneFlowVersion.as_view()),
    path("flows/<str:flow_id>/secrets", secrets.FlowSecrets.as_view()),
    path("flows/<str:flow_id>/secrets/<str:secret_name>", secrets.OneFlowSecret.as_view()),
    path("flows/<str:flow_id>/hook", hooks.FlowHook.as_view()),
    path("flows/<str:flow_id>/messages", hooks.FlowMessages.as_view()),
    path("flows/<str:flow_id>/runs", runs.RunsOfFlow.as_view()),
    path("flows/<str:flow_id>/dry-run", testing.DryRunFlow.as_view()),
    path("flows/<str:flow_id>/steps/<str:step_name>/test", testing.TestFlowStep.as_view()),
    path("flow-runs", runs.FlowRuns.as_view()),
    path("flow-runs/<str:flow_run_id>", runs.OneFlowRun.as_view()),
    path("flow-runs/<str:flow_run_id>/steps", runs.FlowRunSteps.as_view()),
    path("flow-runs/<str:flow_run_id>/cancel", deciding.CancelFlowRun.as_view()),
    path("flow-runs/<str:flow_run_id>/retry", deciding.RetryFlowRun.as_view()),
    path("flow-runs/<str:flow_run_id>/rerun", deciding.RerunFlowRun.as_view()),
    path("flow-runs/<str:flow_run_id>/resolve", deciding.ResolveFlowRun.as_view()),
]
