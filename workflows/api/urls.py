"""Routes of the API."""

from __future__ import annotations

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from workflows.api import (
    drafts,
    errors,
    executors,
    figures,
    graphs,
    jobs,
    operations,
    runs,
    server,
    steering,
    workflows,
)

READ = ["get", "head"]  # pages: they have no answer to OPTIONS
# The library's own page has a style inline, which the site's policy refuses.
api_docs = SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api/docs.html", http_method_names=READ)

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", api_docs, name="api-docs"),
    path("v1/", server.ServerView.as_view()),
    path("v1/login-links/", server.SignInLinkView.as_view()),
    path("v1/workflows/", workflows.WorkflowsView.as_view()),
    path("v1/workflows/<int:workflow_id>/", workflows.WorkflowView.as_view()),
    path("v1/workflows/<int:workflow_id>/runs/", workflows.WorkflowRunsView.as_view()),
    path("v1/workflows/<int:workflow_id>/jobs/", workflows.WorkflowJobsView.as_view()),
    path("v1/workflows/<int:workflow_id>/job-instances/", workflows.WorkflowInstancesView.as_view()),
    path("v1/workflows/<int:workflow_id>/operations/", operations.WorkflowOperationsView.as_view()),
    path("v1/workflows/<int:workflow_id>/activity/", server.ActivityView.as_view()),
    path("v1/operations/", operations.OperationsView.as_view()),
    path("v1/operations/<uuid:key>/", operations.OperationView.as_view()),
    path("v1/operations/<uuid:key>/jobs/", operations.OperationJobsView.as_view()),
    path("v1/operations/<uuid:key>/confirm/", operations.OperationConfirmView.as_view()),
    path("v1/operations/<uuid:key>/stop/", operations.OperationStopView.as_view()),
    path("v1/audit/", server.AuditView.as_view()),
    path("v1/workflows/<int:workflow_id>/errors/", workflows.WorkflowErrorsView.as_view()),
    path("v1/workflows/<int:workflow_id>/graph/", graphs.TagGraphView.as_view()),
    path("v1/workflows/<int:workflow_id>/error-groups/", errors.ErrorGroupsView.as_view()),
    path("v1/error-groups/<int:group_id>/", errors.ErrorGroupView.as_view()),
    path("v1/executors/", executors.ExecutorsView.as_view()),
    path("v1/executors/<slug:name>/hold/", executors.ExecutorHoldView.as_view()),
    path("v1/executors/<slug:name>/limit/", executors.ExecutorLimitView.as_view()),
    path("v1/hosts/<slug:name>/<path:host>/exclusion/", executors.HostExclusionView.as_view()),
    path("v1/tokens/", server.TokensView.as_view()),
    path("v1/tokens/<slug:prefix>/", server.TokenView.as_view()),
    path("v1/jobs/<int:job_id>/tree/", graphs.TreeView.as_view()),
    path("v1/drafts/", drafts.DraftsView.as_view()),
    path("v1/drafts/<uuid:draft_id>/chunks/<int:number>/", drafts.DraftChunkView.as_view()),
    path("v1/drafts/<uuid:draft_id>/commit/", drafts.DraftCommitView.as_view()),
    path("v1/workflow-runs/<int:run_id>/", runs.RunView.as_view()),
    path("v1/workflow-runs/<int:run_id>/stop/", runs.StopView.as_view()),
    path("v1/workflow-runs/<int:run_id>/hold/", runs.HoldView.as_view()),
    path("v1/workflow-runs/<int:run_id>/release/", runs.ReleaseView.as_view()),
    path("v1/workflow-runs/<int:run_id>/timeline/", figures.TimelineView.as_view()),
    path("v1/workflow-runs/<int:run_id>/resources/", figures.RunResourcesView.as_view()),
    path("v1/workflow-runs/<int:run_id>/forecast/", figures.ForecastView.as_view()),
    path("v1/search/", figures.SearchView.as_view()),
    path("v1/hosts/", figures.HostsView.as_view()),
    path("v1/workflows/<int:workflow_id>/limits/", steering.LimitsView.as_view()),
    path("v1/workflows/<int:workflow_id>/sharing/", steering.SharingView.as_view()),
    path("v1/workflows/<int:workflow_id>/reset/", steering.ResetView.as_view()),
    path("v1/workflows/<int:workflow_id>/requests/", steering.RequestsView.as_view()),
    path("v1/workflows/<int:workflow_id>/note/", steering.NoteView.as_view()),
    path("v1/jobs/<int:job_id>/rerun/", steering.RerunView.as_view()),
    path("v1/jobs/<int:job_id>/done/", steering.DoneView.as_view()),
    path("v1/jobs/<int:job_id>/why/", steering.WhyView.as_view()),
    path("v1/jobs/<int:job_id>/", jobs.JobView.as_view()),
    path("v1/job-instances/<int:instance_id>/", jobs.JobInstanceView.as_view()),
    re_path(r"^v1/job-instances/(?P<instance_id>[0-9]{1,18})/log/(?P<stream>stdout|stderr)/$", jobs.LogView.as_view()),
]
