"""The two routes of signing in by OpenID Connect. The library's third, a sign-out of its own, is left out: there is one
way out of the site. Included only where JOBMON_OIDC_ISSUER is set."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView


class CallbackView(OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """The library signs out whoever comes back with an error; so could a link on any other site."""

    def get(self, request: HttpRequest) -> HttpResponse:
        answer: HttpResponse = self.login_failure() if "error" in request.GET else super().get(request)
        return answer


urlpatterns = [
    path("authenticate/", OIDCAuthenticationRequestView.as_view(), name="oidc_authentication_init"),
    path("callback/", CallbackView.as_view(), name="oidc_authentication_callback"),
]
