"""Routes of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter
from django.urls.converters import IntConverter

from workflows.views import account, actions, attempts, jobs, pictures, system, workflows


class IdConverter(IntConverter):
    """A database id: what is longer than 18 digits is no address of ours."""

    regex = "[0-9]{1,18}"


register_converter(IdConverter, "id")

urlpatterns: list[URLPattern] = [
    path("", workflows.home, name="home"),
    path("login/", account.sign_in, name="sign-in"),
    path("login/once/", account.sign_in_once, name="sign-in-once"),
    path("logout/", account.sign_out, name="sign-out"),
    path("account/", account.account, name="account"),
    path("search/", system.search, name="search"),
    path("workflows/", workflows.workflow_list, name="workflow-list"),
    path("workflows/<id:workflow_id>/", workflows.workflow_detail, name="workflow"),
    path("workflows/<id:workflow_id>/resume/", actions.resume, name="workflow-resume"),
    path("workflows/<id:workflow_id>/stop/", actions.stop, name="workflow-stop"),
    path("workflows/<id:workflow_id>/jobs/", jobs.job_list, name="workflow-jobs"),
    path("workflows/<id:workflow_id>/errors/", system.errors, name="workflow-errors"),
    path("workflows/<id:workflow_id>/graph/", pictures.workflow_graph, name="workflow-graph"),
    path("workflows/<id:workflow_id>/timeline/", pictures.timeline, name="workflow-timeline"),
    path("workflows/<id:workflow_id>/activity/", system.activity, name="workflow-activity"),
    path("error-groups/<id:group_id>/", system.error_group, name="error-group"),
    path("workflow-runs/<id:run_id>/", attempts.run_page, name="workflow-run"),
    path("jobs/", jobs.jobs_of_dag, name="jobs-of-dag"),
    path("jobs/<id:job_id>/", jobs.job_page, name="job"),
    path("jobs/<id:job_id>/graph/", pictures.job_graph, name="job-graph"),
    path("job-instances/<id:instance_id>/", attempts.attempt_page, name="job-instance"),
    path("job-instances/<id:instance_id>/log/stdout/", attempts.log_page, {"stream": "stdout"}, name="log-stdout"),
    path("job-instances/<id:instance_id>/log/stderr/", attempts.log_page, {"stream": "stderr"}, name="log-stderr"),
    path("executors/", system.executors, name="executors"),
    path("audit/", system.audit, name="audit"),
]
