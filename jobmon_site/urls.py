"""All routes."""

from __future__ import annotations

from django.conf import settings
from django.urls import include, path

from jobmon_site.metrics import metrics
from jobmon_site.probes import healthz, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/", include("workflows.api.urls")),
    path("", include("workflows.urls")),
]

if getattr(settings, "OIDC_ISSUER", ""):
    urlpatterns.insert(0, path("oidc/", include("workflows.sign_in_oidc_urls")))

handler400 = "workflows.views.errors.bad_request"
handler403 = "workflows.views.errors.not_allowed"
handler404 = "workflows.views.errors.not_found"
handler500 = "workflows.views.errors.server_error"
