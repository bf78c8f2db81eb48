"""What both services have in common as web services: ids, errors, limits, access, signing in, health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface
from flask.signals import appcontext_tearing_down, request_tearing_down
from flask.typing import ResponseReturnValue
from flask_cors import CORS
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter, Rule

from shared.access import Access
from shared.api_log import ApiLog
from shared.errors import init_errors
from shared.health import health_blueprint
from shared.identity import Identity
from shared.keys import KeyRing
from shared.limits import Limits
from shared.offload import one_thread
from shared.passwords import Passwords
from shared.request_ids import init_request_ids
from shared.settings import Settings
from shared.signing_in import signing_in_blueprint

MAX_BODY_BYTES = 1024 * 1024
# What a page of another origin may read of our answers beside their bodies.
EXPOSED_HEADERS = [
    "ETag",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
]


class _NoSessions(SessionInterface):
    """Nobody here has a session; Flask's own looks at settings and makes an empty one for each request."""

    def __init__(self) -> None:
        self._none = NullSession()  # refuses to be written to

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none


class _Routes(MapAdapter):
    """The routes as one request sees them. A path that is a whole route was looked up once before, in 4 µs;
    all that werkzeug wants to know of a request for other paths, and for addresses, is found out then."""

    def __init__(self, service: _Service, request: Request) -> None:
        self._known = service.known_routes
        self._request = request
        self.map = service.url_map

    def __getattr__(self, name: str) -> Any:
        """What the request has not been asked for yet."""
        request = self._request
        super().__init__(
            self.map,
            request.host,
            script_name=request.root_path,
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
            query_args=request.query_string.decode("latin1"),
        )
        return object.__getattribute__(self, name)

    def match(self, *args: Any, **options: Any) -> Any:
        environ = self._request.environ
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if not args and options == _OF_FLASK and (rule := self._known.get(asked)) is not None:
            return rule, {}
        found = super().match(*args, **options)
        if options == _OF_FLASK and not found[1] and found[0].rule == environ["PATH_INFO"]:
            self._known[asked] = found[0]
        return found


_OF_FLASK = {"return_rule": True}  # how Flask asks for the route of a request


class _Service(Flask):
    """Flask, but for its detours on the way to the view and back. Blueprints have no hooks of their own."""

    session_interface = _NoSessions()

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.known_routes: dict[tuple[str, str], Rule] = {}

    def preprocess_request(self) -> ResponseReturnValue | None:
        """As Flask's for an app whose blueprints have no hooks. What leaving out such looks and sessions
        saves a request is in docs/decisions/0008-what-taking-a-lead-costs.md."""
        for hook in self.before_request_funcs[None]:
            if (answer := hook()) is not None:
                return cast(ResponseReturnValue, answer)  # no hook here is `async`
        return None

    def process_response(self, response: Response) -> Response:
        """The same on the way back."""
        for hook in reversed(self.after_request_funcs[None]):
            response = hook(response)
        return response

    def do_teardown_request(self, *error: BaseException | None) -> None:
        """Only where somebody wants to know."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*error)

    def do_teardown_appcontext(self, *error: BaseException | None) -> None:
        """Only where somebody wants to know."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(*error)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Nothing here is `async`, for which Flask looks six times a request, 1 µs each."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask's for an app whose routes are the same on every host. That one takes the environment apart
        once more for it, 13 µs a request."""
        if request is None:  # no address is built but in a request
            return None
        return _Routes(self, request)


def web_service(
    name: str,
    settings: Settings,
    identity: Identity,
    fault: Callable[[], str | None],
    api_log: ApiLog,
    *,
    keys: KeyRing | None = None,
    passwords: Passwords | None = None,
) -> Flask:
    """An app called `name` that knows its callers; it has no routes of its own yet.

    `fault` says for `/readyz` what keeps the service from its work, or None.
    """
    app = _Service(name)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES, SETTINGS=settings)
    app.url_map.strict_slashes = False
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies)  # type: ignore[method-assign]
    if settings.cors_origins:
        CORS(app, origins=list(settings.cors_origins), expose_headers=EXPOSED_HEADERS, max_age=3600)
    api_log.init_app(app)
    init_request_ids(app)
    init_errors(app)
    limits = Limits(app, settings.rate_limit_per_minute, settings.redis_url)
    Access(app, identity, keys or KeyRing(settings.jwt_keys_path), limits)
    app.register_blueprint(signing_in_blueprint(passwords or Passwords(one_thread())))
    app.register_blueprint(health_blueprint(fault))
    return app
