"""Routes of the pages."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter
from django.urls.converters import IntConverter

from workflows.views import (
    account,
    actions,
    attempts,
    error_groups,
    executors,
    job_actions,
    jobs,
    mail,
    operations,
    pictures,
    resources,
    resume,
    runs,
    saved_filters,
    sessions,
    sharing,
    steering,
    system,
    timeline,
    tokens,
    tokens_of_others,
    workflows,
)


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
    path("account/mail/", mail.mail, name="mail"),
    path("account/mail/confirm/", mail.confirm, name="mail-confirm"),
    path("account/tokens/", tokens.tokens, name="tokens"),
    path("account/tokens/<slug:prefix>/revoke/", tokens.revoke, name="token-revoke"),
    path("tokens/", tokens_of_others.others, name="tokens-of-others"),
    path("tokens/<slug:prefix>/revoke/", tokens_of_others.revoke, name="token-of-other-revoke"),
    path("account/sessions/", sessions.sessions, name="sessions"),
    path("account/sessions/<slug:public_id>/end/", sessions.end, name="session-end"),
    path("account/sign-out-everywhere/", sessions.sign_out_everywhere, name="sign-out-everywhere"),
    path("account/filters/", saved_filters.filters, name="filters"),
    path("account/filters/<slug:slug>/", saved_filters.change, name="filter-change"),
    path("account/columns/", saved_filters.keep_columns, name="keep-columns"),
    path("search/", system.search, name="search"),
    path("workflows/", workflows.workflow_list, name="workflow-list"),
    path("workflows/<id:workflow_id>/", workflows.workflow_detail, name="workflow"),
    path("workflows/<id:workflow_id>/resume/", resume.resume, name="workflow-resume"),
    path("workflows/<id:workflow_id>/stop/", actions.stop, name="workflow-stop"),
    path("workflows/<id:workflow_id>/hold/", steering.hold, name="workflow-hold"),
    path("workflows/<id:workflow_id>/limits/", steering.limits, name="workflow-limits"),
    path("workflows/<id:workflow_id>/note/", steering.note, name="workflow-note"),
    path("workflows/<id:workflow_id>/sharing/", sharing.sharing, name="workflow-sharing"),
    path("workflows/<id:workflow_id>/operations/", operations.make_draft, name="workflow-operations"),
    path("workflows/<id:workflow_id>/resources/", resources.resources, name="workflow-resources"),
    path("workflows/<id:workflow_id>/jobs/", jobs.job_list, name="workflow-jobs"),
    path("workflows/<id:workflow_id>/runs/", runs.run_list, name="workflow-runs"),
    path("workflows/<id:workflow_id>/errors/", error_groups.errors, name="workflow-errors"),
    path("workflows/<id:workflow_id>/graph/", pictures.workflow_graph, name="workflow-graph"),
    path("workflows/<id:workflow_id>/timeline/", timeline.timeline, name="workflow-timeline"),
    path("workflows/<id:workflow_id>/activity/", system.activity, name="workflow-activity"),
    path("error-groups/<id:group_id>/", error_groups.error_group, name="error-group"),
    path("workflow-runs/<id:run_id>/", attempts.run_page, name="workflow-run"),
    path("jobs/", jobs.jobs_of_dag, name="jobs-of-dag"),
    path("jobs/<id:job_id>/", jobs.job_page, name="job"),
    path("jobs/<id:job_id>/retry/", job_actions.retry, name="job-retry"),
    path("jobs/<id:job_id>/rerun/", job_actions.rerun, name="job-rerun"),
    path("jobs/<id:job_id>/done/", job_actions.mark_done, name="job-done"),
    path("jobs/<id:job_id>/kill/", job_actions.kill, name="job-kill"),
    path("jobs/<id:job_id>/requests/", job_actions.requests, name="job-requests"),
    path("jobs/<id:job_id>/graph/", pictures.job_graph, name="job-graph"),
    path("job-instances/<id:instance_id>/", attempts.attempt_page, name="job-instance"),
    path("job-instances/<id:instance_id>/log/stdout/", attempts.log_page, {"stream": "stdout"}, name="log-stdout"),
    path("job-instances/<id:instance_id>/log/stderr/", attempts.log_page, {"stream": "stderr"}, name="log-stderr"),
    path("operations/", operations.operation_list, name="operations"),
    path("operations/<uuid:key>/", operations.operation_page, name="operation"),
    path("executors/", executors.executor_list, name="executors"),
    path("executors/<slug:name>/", executors.executor_page, name="executor"),
    path("executors/<slug:name>/hold/", executors.hold, name="executor-hold"),
    path("executors/<slug:name>/limit/", executors.limit, name="executor-limit"),
    path("hosts/", executors.host_list, name="hosts"),
    path("hosts/<slug:name>/<path:host>/exclude/", executors.exclude, name="host-exclude"),
    path("hosts/<slug:name>/<path:host>/", executors.host_page, name="host"),
    path("audit/", system.audit, name="audit"),
]
